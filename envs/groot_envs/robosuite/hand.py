"""How a hand answers robosuite's operational-space controller, and how a path of waypoints becomes a chunk.

The controller (kp 150, critically damped) makes the hand a mass on a spring to its goal, and each control step sets
the goal anew, a delta away from where the hand then is. So one control step is linear in position, velocity and delta,
and a chunk can be planned ahead without the simulator. Everything here is in the world frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groot_retarget.rotations import rotation_matrix, rotation_vector

STEP_SECONDS = 0.05
STIFFNESS = 150.0  # robosuite's default_panda.json, for position [1/s^2] and rotation alike
REACH = np.array([0.05, 0.05, 0.05, 0.5, 0.5, 0.5])  # what a command of 1 means [m, rad]

# Faster turns saturate the wrist's torque, and the hand swings sideways.
LARGEST = np.array([1.0, 1.0, 1.0, 0.35, 0.35, 0.35])

_OMEGA = math.sqrt(STIFFNESS)
_DECAY = math.exp(-_OMEGA * STEP_SECONDS)
# One control step of a critically damped spring whose end is a delta away: x += A delta + B v; v = C v + D delta.
# The arm's friction, which the controller does not know of, takes a part: measured on Panda, 82 to 88 % arrive.
_ARRIVES = 0.85
_A = _ARRIVES * (1.0 - (1.0 + _OMEGA * STEP_SECONDS) * _DECAY)
_B = STEP_SECONDS * _DECAY
_C = (1.0 - _OMEGA * STEP_SECONDS) * _DECAY
_D = _ARRIVES * _OMEGA**2 * STEP_SECONDS * _DECAY
# How far the hand still coasts per unit of velocity when every later delta is zero.
_COAST = _B / (1.0 - _C)


@dataclass(frozen=True)
class Hand:
    """Position [m] (3,), rotation (3, 3) of the hand body, velocity [m/s] (3,) and spin [rad/s] (3,); world frame."""

    position: np.ndarray
    rotation: np.ndarray
    velocity: np.ndarray
    spin: np.ndarray

    def error(self, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """(6,): what is missing to that pose [m, rad]."""
        return np.concatenate([position - self.position, rotation_vector(rotation @ self.rotation.T)])

    def command(self, position: np.ndarray, rotation: np.ndarray, limit: float = 1.0) -> np.ndarray:
        """(6,) in [-limit, limit]: the delta after which the hand coasts to rest at that pose, or as near as it may."""
        motion = np.concatenate([self.velocity, self.spin])
        delta = (self.error(position, rotation) - (_B + _COAST * _C) * motion) / (_A + _COAST * _D)
        return np.clip(delta / REACH, -limit * LARGEST, limit * LARGEST)

    def after(self, command: np.ndarray) -> Hand:
        """Where the hand is one control step later, when nothing is in its way."""
        motion = np.concatenate([self.velocity, self.spin])
        delta = command * REACH
        moved = _A * delta + _B * motion
        motion = _C * motion + _D * delta
        return Hand(self.position + moved[:3], rotation_matrix(moved[3:]) @ self.rotation, motion[:3], motion[3:])


@dataclass(frozen=True)
class Waypoint:
    """Go there; then, after `hold` more control steps, on to the next one.

    Attributes:
        position, rotation: of the hand; world frame [m], (3, 3).
        close: the gripper command on the way and during the hold.
        within: how near counts as there [m]; rotations count when within 0.1 rad.
        hold: control steps to stay, e.g. while the fingers close.
        limit: largest command, below 1 for slow moves.
    """

    position: np.ndarray
    rotation: np.ndarray
    close: bool
    within: float = 0.005
    hold: int = 0
    limit: float = 1.0

    def reached(self, hand: Hand) -> bool:
        error = hand.error(self.position, self.rotation)
        return bool(np.linalg.norm(error[:3]) <= self.within and np.linalg.norm(error[3:]) <= 0.1)


def follow(hand: Hand, path: Sequence[Waypoint], horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The chunk that leads the hand along the path, as far as the model can tell; at its end the hand stays.

    Returns:
        commands (horizon, 6) in the world frame, and close (horizon,) of bool.
    """
    commands, close = np.zeros((horizon, 6)), np.zeros(horizon, dtype=bool)
    index, held = 0, 0
    for step in range(horizon):
        while index < len(path) - 1 and path[index].reached(hand) and held >= path[index].hold:
            index, held = index + 1, 0
        if path[index].reached(hand) or held > 0:
            held += 1
        goal = path[index]
        commands[step] = hand.command(goal.position, goal.rotation, goal.limit)
        close[step] = goal.close
        hand = hand.after(commands[step])
    return commands, close
