"""From a suite's observation to what a model reads, and from what it returns to actions."""
