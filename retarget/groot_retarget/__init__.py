"""Retargeting between a policy's body and a robot's joints: per-episode forward and inverse kinematics."""
