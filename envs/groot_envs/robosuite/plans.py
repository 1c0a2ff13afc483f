"""The scripted plans: what is left to do from a situation, as a path of waypoints for each arm.

A plan reads its phase off the scene, so nothing is remembered between queries, and a grasp that failed is tried again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from groot_envs.robosuite.hand import Waypoint
from groot_envs.robosuite.situation import MOST_YAW, Arm, Situation, approach, grasp
from groot_retarget.rotations import rotation_matrix, rotation_vector

Path = list[Waypoint]

UP = np.array([0.0, 0.0, 1.0])


def lift(situation: Situation) -> tuple[Path, ...]:
    """Lift: the cube, gripped across the nearer pair of faces, straight up; done 4 cm above the table."""
    arm, point = situation.arms[0], situation.position("cube")
    rotation = _across(arm, situation.rotation("cube"))
    return ([*grasp(arm, point, rotation), _closed(arm, point + 0.08 * UP, rotation)],)


def stack(situation: Situation) -> tuple[Path, ...]:
    """Stack: the red cube onto the green one, and let go."""
    arm = situation.arms[0]
    red, green = situation.position("red_cube"), situation.position("green_cube")
    goal = green + 0.046 * UP  # half edges of 20 and 25 mm, and 1 mm of air
    aside = float(np.linalg.norm((goal - red)[:2]))
    if aside < 0.015 and abs(goal[2] - red[2]) < 0.006:
        return ([Waypoint(arm.hand.position, arm.level(), close=False)],)
    rotation = _across(arm, situation.rotation("red_cube"), away_from=green - red)
    path = grasp(arm, red, rotation)
    # A held cube keeps its place in the hand, and the hand its yaw: turning would only swing it sideways.
    offset, rotation = (np.zeros(3), rotation) if path else (arm.hand.position - red, arm.level())
    if aside > 0.012:
        over = goal + 0.03 * UP + offset
        if red[2] < goal[2] + 0.01:
            straight_up = np.array([red[0] + offset[0], red[1] + offset[1], over[2]])
            path.append(Waypoint(straight_up, rotation, close=True, within=0.02))
        path.append(Waypoint(over, rotation, close=True, within=0.006))
    path.append(Waypoint(goal + offset, rotation, close=True, within=0.004, limit=0.5))
    path.append(Waypoint(goal + offset, rotation, close=False))
    return (path,)


# The lever in the latch's frame: it runs along x, 4 cm high and 3 cm thick, 10 cm off the door; the door's hinge axis
# is in the door's frame. From robosuite's door_lock.xml [m].
LEVER_GRIP = np.array([0.11, -0.10, 0.0])
LATCH_IN_DOOR = np.array([-0.175, 0.0, -0.025])
HINGE_IN_DOOR = np.array([0.255, 0.0, 0.0])
# The hand leans this far over: upright, its broad palm would meet the door before the fingers meet the lever [rad].
LEAN = 0.8
# From UNLOCKED on the bolt is clear of the frame [rad].
LEVER_DOWN = 1.5
UNLOCKED = 1.15
# Beyond the 0.3 rad that count, and beyond the hinge's end: the hand shall pull all the way [rad].
OPENED = 0.7
# The part of the lever's turn that the hand follows; the whole would end at the wrist's limit.
ROLL = 0.3
# The lever's spring gives way only to a goal that stays this far ahead of the fingers [m].
LEAD = 0.08


def door(situation: Situation) -> tuple[Path, ...]:
    """Door: open fingers around the lever turn it down, the upper one pressing, and pull the door open by it.

    The fingers stay open since only at the end of their travel are they stiff: closed, they give way to 20 N.
    """
    arm, panel = situation.arms[0], situation.rotation("door")
    hinge, latch = float(situation.scene["hinge_angle"][0]), float(situation.scene["latch_angle"][0])
    pivot = situation.position("door") + panel @ HINGE_IN_DOOR

    def around(opened: float, turned: float, within: float = 0.03, lead: float = 0.0) -> Waypoint:
        """The hand around the lever when the hinge is at `opened` and the latch at `turned`."""
        swung = rotation_matrix((opened - hinge) * UP) @ panel
        turn = rotation_matrix(np.array([0.0, turned, 0.0]))
        lever = LATCH_IN_DOOR + turn @ (LEVER_GRIP - lead * UP)
        follow = rotation_matrix(np.array([0.0, ROLL * turned, 0.0]))
        rotation = swung @ follow @ swung.T @ _leaning(arm.turned(panel[:, 1]), swung[:, 1])
        return Waypoint(pivot + swung @ (lever - HINGE_IN_DOOR), rotation, close=False, within=within)

    here = around(hinge, latch, within=0.01)
    path: Path = []
    if np.linalg.norm(arm.hand.position - here.position) > (0.05 if latch > 0.15 else 0.02):
        path = approach(arm, here)
    if hinge < 0.05 and latch < UNLOCKED:
        path += [around(hinge, turned) for turned in _between(latch, LEVER_DOWN, 6)]
        return ([*path, around(hinge, LEVER_DOWN, within=0.0, lead=LEAD)],)
    turned, lead = (LEVER_DOWN, 0.5 * LEAD) if hinge < 0.1 else (min(latch, LEVER_DOWN), 0.0)
    return ([*path, *(around(opened, turned, lead=lead) for opened in _between(hinge, OPENED, 4))],)


def _leaning(rotation: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """The downward hand's rotation (3, 3), its fingers then swung towards a horizontal direction by LEAN."""
    return rotation_matrix(LEAN * np.cross(-UP, towards)) @ rotation


def _between(start: float, end: float, count: int) -> list[float]:
    """`count` even steps from start to end, without the start."""
    return [start + (end - start) * (step + 1) / count for step in range(count)]


CAN_GRIP = 0.015  # above the can's middle [m]
CAN_FREE = 0.06  # fingers this far apart have let go of it; it is 5 cm thick [m]
# Where in its bin, from the middle: nearer to the robot, whose arm is all but stretched out there [m].
CAN_PLACE = np.array([-0.045, -0.045, 0.0])
TOLERATED_TILT = 0.15  # [rad]
BIN_CLEARANCE = 0.16  # how much higher the can is carried than it stands; the walls are 10 cm high [m]


def can(situation: Situation) -> tuple[Path, ...]:
    """PickPlaceCan: the can over the wall into its bin; done when it lies there and the hand has left."""
    arm, point, goal = situation.arms[0], situation.position("can"), situation.position("target") + CAN_PLACE
    aside = goal - point
    if np.linalg.norm(aside[:2]) < 0.03 and aside[2] > -0.04:
        away = Waypoint(arm.hand.position + 0.15 * UP, arm.level(), close=False)
        if arm.width > CAN_FREE:
            return ([away],)
        return ([Waypoint(arm.hand.position, arm.level(), close=False, within=0.02, hold=3), away],)
    rotation = _as_it_is(arm, arm.turned(arm.base[:, 1]))
    path = grasp(arm, point + CAN_GRIP * UP, rotation, carried=point[2] > goal[2] + 0.03)
    offset = np.array([0.0, 0.0, CAN_GRIP]) if path else arm.hand.position - point
    if np.linalg.norm(aside[:2]) > 0.02:
        over = goal + BIN_CLEARANCE * UP + offset
        if aside[2] > -0.12:
            straight_up = np.array([point[0] + offset[0], point[1] + offset[1], over[2]])
            path.append(Waypoint(straight_up, rotation, close=True, within=0.03))
        path.append(Waypoint(over, rotation, close=True, within=0.015))
    down = goal + 0.02 * UP + offset
    path += [Waypoint(down, rotation, close=True, within=0.015), Waypoint(down, rotation, close=False)]
    return (path,)


# The nut is carried over the peg's top (0.95 m) and let go with the peg well inside it; it has 7 mm of play.
NUT_CARRIED = 1.0  # [m]
NUT_CLEAR = 0.965  # [m]
NUT_DROPPED = 0.925  # [m]
# From the handle's middle: further out than the nut's corners, and so high that the finger tips clear the table [m].
NUT_GRIP = np.array([0.012, 0.0, 0.006])


def nut(situation: Situation) -> tuple[Path, ...]:
    """NutAssemblySquare: gripped by the handle, turned along the peg, lowered over the peg, let go."""
    arm, center, peg = situation.arms[0], situation.position("nut"), situation.position("peg")
    aside = float(np.linalg.norm((peg - center)[:2]))
    if aside < 0.007 and center[2] < NUT_DROPPED + 0.01:
        return ([Waypoint(arm.hand.position, arm.hand.rotation, close=False)],)
    frame = situation.rotation("nut")
    handle = situation.position("nut_handle") + frame @ NUT_GRIP
    path = grasp(arm, handle, arm.turned(frame[:, 1]), carried=center[2] > 0.86)
    if path:
        return ([*path, _closed(arm, handle + 0.1 * UP, path[-1].rotation)],)
    turn = rotation_matrix(_turn_to_peg(arm, math.atan2(frame[1, 0], frame[0, 0])) * UP)
    rotation, offset = turn @ arm.level(), turn @ (arm.hand.position - center)

    def with_nut_at(z: float, limit: float) -> Waypoint:
        return Waypoint(np.array([peg[0], peg[1], z]) + offset, rotation, close=True, within=0.002, limit=limit)

    if aside < 0.006 and np.linalg.norm(rotation_vector(turn)) < 0.1:
        return ([with_nut_at(NUT_DROPPED, limit=0.5)],)
    # Slow near the peg: fast moves tilt the hand, and only a query sees how far the nut then is off.
    over = with_nut_at(NUT_CARRIED, limit=1.0 if aside > 0.06 else 0.35)
    if center[2] > NUT_CLEAR:
        return ([over],)
    up = arm.hand.position + (NUT_CARRIED - center[2]) * UP
    return ([Waypoint(up, arm.level(), close=True, within=0.015), over],)


def _turn_to_peg(arm: Arm, handle: float) -> float:
    """The turn [rad] that lays the nut along the square peg.

    The handle may point left, right or back to the robot; ahead, the hand that holds it would be out of reach.

    Args:
        arm: the arm that holds it.
        handle: where the handle points now, about z [rad].
    """
    quarter = 0.5 * math.pi
    turns = [math.remainder(goal - handle, 4 * quarter) for goal in (quarter, 2 * quarter, -quarter)]
    reachable = [turn for turn in turns if abs(arm.yaw() + turn) <= MOST_YAW]
    return min(reachable or turns, key=abs)


def two_arm_lift(situation: Situation) -> tuple[Path, ...]:
    """TwoArmLift: each hand across the bar of its handle, then both up, once both hold."""
    pot = situation.position("pot")
    handles = [situation.position(f"handle{index}") for index in range(2)]
    turns = [arm.turned(handle - pot) for arm, handle in zip(situation.arms, handles, strict=True)]
    paths = [
        grasp(arm, handle, rotation, back=0.1, carried=bool(handle[2] > 0.95))
        for arm, handle, rotation in zip(situation.arms, handles, turns, strict=True)
    ]
    if any(paths):
        stay = [[Waypoint(arm.hand.position, arm.level(), close=True)] for arm in situation.arms]
        return tuple(path or still for path, still in zip(paths, stay, strict=True))
    # The hand that lags sets the height that both go to, so that the pot stays level.
    height = min(float(handle[2]) for handle in handles) + 0.25
    return tuple(
        [Waypoint(np.array([*arm.hand.position[:2], height]), rotation, close=True, limit=0.6)]
        for arm, rotation in zip(situation.arms, turns, strict=True)
    )


def _across(arm: Arm, box: np.ndarray, away_from: np.ndarray | None = None) -> np.ndarray:
    """The hand's rotation that grips an upright box across one pair of its faces.

    Args:
        arm: whose turn should be short.
        box: the box's rotation (3, 3).
        away_from: vector to something that the parted fingers should not touch, or None.
    """
    horizontal = [axis for axis in box.T if abs(axis[2]) < 0.7]

    def cost(axis: np.ndarray) -> float:
        turn = float(np.linalg.norm(arm.hand.error(arm.hand.position, arm.turned(axis))[3:]))
        if away_from is None or np.linalg.norm(away_from[:2]) > 0.12:
            return turn
        return turn + 4.0 * abs(float(axis[:2] @ away_from[:2])) / float(np.linalg.norm(away_from[:2]))

    return arm.turned(min(horizontal, key=cost))


def _as_it_is(arm: Arm, rotation: np.ndarray) -> np.ndarray:
    """The hand's present rotation, where that is near enough to this one.

    With the arm stretched out, turning the hand upright pushes it away by as much as a position command pulls it.
    """
    turn = np.linalg.norm(rotation_vector(rotation @ arm.hand.rotation.T))
    return arm.hand.rotation if turn < TOLERATED_TILT else rotation


def _closed(arm: Arm, position: np.ndarray, rotation: np.ndarray) -> Waypoint:
    return Waypoint(position, rotation, close=True)


PLANS: dict[str, Callable[[Situation], tuple[Path, ...]]] = {
    "Lift": lift,
    "Stack": stack,
    "Door": door,
    "NutAssemblySquare": nut,
    "PickPlaceCan": can,
    "TwoArmLift": two_arm_lift,
    "LiftPandaOmron": lift,
}
