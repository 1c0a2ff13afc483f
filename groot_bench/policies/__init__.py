"""Policies without a model. They are the first thing to run on a new suite."""
