"""What an expert sees at a query, in one frame: its arms and the scene's privileged arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from groot_envs.robosuite.hand import Hand, Waypoint
from groot_retarget.rotations import matrix_from_xyzw

# The hand at rest points straight down: its z axis is -z of the robot's base, its fingers part along y.
DOWN = np.diag([1.0, -1.0, -1.0])

# Beyond a quarter turn the wrist has less room than its limits say when the arm is stretched out.
MOST_YAW = math.radians(100)

CLOSING_STEPS = 9  # from fully open onto something 3 to 5 cm thick, at 0.2 of the range a step, with the fingers' lag
OPEN_WIDTH = 0.072  # the fingers are fully open at 0.080 [m]
EMPTY_WIDTH = 0.012  # closed on nothing [m]
STILL = 0.01  # fingers slower than this have met something [m/s]
NEAR = 0.025  # from the grasp point [m]


@dataclass(frozen=True)
class Arm:
    """One arm at a query; world frame.

    Attributes:
        hand: where it is and how it moves.
        width: between the fingers [m].
        finger_speed: [m/s].
        base: the robot's base rotation (3, 3); commands are given in its frame.
    """

    hand: Hand
    width: float
    finger_speed: float
    base: np.ndarray

    def holds(self, point: np.ndarray) -> bool:
        """Whether the fingers have closed on something around this grasp point."""
        return self.closing(point) and abs(self.finger_speed) < STILL

    def closing(self, point: np.ndarray, within: float = NEAR) -> bool:
        """Whether they have begun to close there and have not met each other."""
        near = bool(np.linalg.norm(self.hand.position - point) < within)
        return near and EMPTY_WIDTH < self.width < OPEN_WIDTH

    def turned(self, direction: np.ndarray) -> np.ndarray:
        """(3, 3): pointing down with the fingers parting along a horizontal direction, by the shorter turn."""
        towards = self.base.T @ direction
        yaw = math.atan2(towards[1], towards[0]) + 0.5 * math.pi
        current = self.yaw()
        candidates = [yaw + turn * math.pi for turn in range(-3, 4)]
        reachable = [value for value in candidates if abs(value) <= MOST_YAW]
        return self.base @ _about_z(min(reachable, key=lambda value: abs(value - current))) @ DOWN

    def level(self) -> np.ndarray:
        """(3, 3): pointing straight down at the present yaw."""
        return self.base @ _about_z(self.yaw()) @ DOWN

    def yaw(self) -> float:
        """How far the hand is turned about the base's z axis [rad]."""
        inside = self.base.T @ self.hand.rotation
        return math.atan2(inside[1, 0], inside[0, 0])


@dataclass(frozen=True)
class Situation:
    """All of one row.

    Attributes:
        arms: the robots' arms.
        scene: privileged arrays without "privileged.", each (D,).
    """

    arms: tuple[Arm, ...]
    scene: Mapping[str, np.ndarray]

    def position(self, name: str) -> np.ndarray:
        return self.scene[name + "_position"]

    def rotation(self, name: str) -> np.ndarray:
        return matrix_from_xyzw(self.scene[name + "_rotation"])


def grasp(
    arm: Arm, point: np.ndarray, rotation: np.ndarray, back: float = 0.08, carried: bool = False
) -> list[Waypoint]:
    """Onto the point with open fingers, along the hand's own z axis, then closed around it; what is left of that.

    Args:
        arm: whose hand.
        point: between the fingers at last [m].
        rotation: of the hand (3, 3).
        back: how far from the point the straight approach begins [m].
        carried: whether the thing has moved from where it rests, so that fingers around it hold it.
    """
    if arm.holds(point) or (carried and arm.closing(point, within=0.05)):
        return []
    close = Waypoint(point, rotation, close=True, within=NEAR, hold=CLOSING_STEPS)
    if arm.closing(point):
        return [close]
    return [*approach(arm, Waypoint(point, rotation, close=False, within=0.006), back), close]


def approach(arm: Arm, goal: Waypoint, back: float = 0.08) -> list[Waypoint]:
    """To the goal along the hand's own z axis, over a point that far back [m] unless the hand is all but on that line.

    Between the open fingers there is less room along the hand's y axis, in which they part, than along its x axis.
    """
    error = arm.hand.error(goal.position, goal.rotation)
    across, apart, _ = np.abs(goal.rotation.T @ error[:3])
    if across <= 0.035 and apart <= 0.015 and np.linalg.norm(error[3:]) <= 0.2:
        return [goal]
    return [Waypoint(goal.position - back * goal.rotation[:, 2], goal.rotation, goal.close, within=0.02), goal]


def _about_z(angle: float) -> np.ndarray:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
