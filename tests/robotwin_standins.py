"""Stand-ins for what RoboTwin downloads: a two-armed robot of boxes, and seed lists that no expert has tried.

    python tests/robotwin_standins.py ROBOTWIN SEEDS

fills the folder of RoboTwin's source with the robot (and with no clutter), and the folder SEEDS with lists of the tasks
made of boxes. Numbers measured with either are of no benchmark. The robot has aloha-agilex' joint names, gripper range
and camera links; its arms are 0.4 m and 0.4 m with a spherical wrist, x of the last link pointing where the gripper
points.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from groot_envs.robotwin2.seeds import SCHEMA
from groot_envs.robotwin2.tasks import ARM_JOINTS, BOX_TASKS, COMMIT, EASY, FIRST_SEED

SHOULDER_Y, SHOULDER_Z = 0.3, 1.0  # [m], in the frame of the robot's base, whose x is the world's y
SHOULDER_X = 0.2
LINK = 0.4  # [m], upper arm and forearm
TIP = 0.12  # [m], from the wrist to where a grasped thing is
OPEN = 0.045  # [m], what one finger moves
HOME = [0.0, -1.6, 2.4, 0.0, 0.4, 0.0]  # [rad], gripper above the near edge of the table, pointing down and forward
AXES = ("0 0 1", "0 1 0", "0 1 0", "1 0 0", "0 1 0", "1 0 0")  # yaw, shoulder, elbow, and a spherical wrist
STARTS = (0.0, 0.0, LINK, LINK, 0.0, 0.0)  # [m], each joint's origin along x of the link before it
CAMERAS = [
    {"name": "head_camera", "type": "D435", "position": [-0.03, -0.45, 1.35], "forward": [0.0, 0.6, -0.8]},
    {"name": "front_camera", "type": "D435", "position": [0.0, 0.45, 0.85], "forward": [0.0, -1.0, -0.1]},
]

NO_CLUTTER: dict[str, object] = {"item_names": [], "list_of_items": {}, "z_max": {}, "radius": {}, "z_offset": {}}

# What the expert would say of the scene, which instructions are worded from; without the arms, which only it chooses.
COLORS = {"{A}": "red block", "{B}": "green block", "{C}": "blue block"}
INFO = {
    "stack_blocks_two": {"{A}": "red block", "{B}": "green block"},
    "stack_blocks_three": COLORS,
    "blocks_ranking_rgb": COLORS,
    "blocks_ranking_size": {"{A}": "large block", "{B}": "medium block", "{C}": "small block"},
    "handover_block": {},
}


def write_assets(robotwin: Path) -> Path:
    """Writes the robot where RoboTwin looks for aloha-agilex, and that there is nothing to clutter a table with.

    Raises:
        FileExistsError: assets that are not these are there.
    """
    assets = robotwin / "assets"
    robot = {"standin.urdf": urdf(), "standin.srdf": '<robot name="standin"/>\n', "config.yml": configuration()}
    files = {f"embodiments/aloha-agilex/{name}": text for name, text in robot.items()}
    files["objects/objaverse/list.json"] = json.dumps(NO_CLUTTER) + "\n"
    files["objects/same.json"] = "{}\n"
    for name, text in files.items():
        path = assets / name
        if path.exists() and path.read_text() != text:
            raise FileExistsError(f"{path} is not a stand-in of this version; move it away first")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return assets


def write_lists(folder: Path, count: int = 20) -> None:
    """Lists of the first `count` seeds of each box task, none of which an expert has tried."""
    for task in BOX_TASKS:
        rows = [{"seed": FIRST_SEED + i, "info": INFO[task], "attributes": {}} for i in range(count)]
        content = {"schema": SCHEMA, "task": task, "config": EASY, "commit": COMMIT, "next": FIRST_SEED + count}
        path = folder / EASY / f"{task}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**content, "seeds": rows}, indent=1) + "\n")


def urdf() -> str:
    """The robot, both arms in one file, as upstream's is."""
    parts = ['<robot name="standin">', '<link name="base"/>']
    for side, prefix, sign in (("left", "fl", 1), ("right", "fr", -1)):
        parts += [f'<link name="{prefix}_base_link">{_box("0.06 0.06 1.0", "0 0 -0.55", "0.3 0.3 0.3")}</link>']
        parts += [_fixed("base", f"{prefix}_base_link", f"{SHOULDER_X} {sign * SHOULDER_Y} {SHOULDER_Z}")]
        parts += _arm(prefix, side)
    return "\n".join([*parts, "</robot>"]) + "\n"


def _arm(prefix: str, side: str) -> list[str]:
    shapes = {
        2: _box(f"{LINK - 0.1} 0.05 0.05", f"{LINK / 2} 0 0", "0.9 0.9 0.9"),
        3: _box(f"{LINK - 0.15} 0.04 0.04", f"{LINK / 2 - 0.02} 0 0", "0.7 0.7 0.75"),
        6: _box("0.04 0.11 0.04", "0.03 0 0", "0.2 0.2 0.2"),
    }
    found, parent = [], f"{prefix}_base_link"
    for number, (axis, start) in enumerate(zip(AXES, STARTS, strict=True), 1):
        link = f"{prefix}_link{number}"
        found.append(f'<link name="{link}">{shapes.get(number, _INERTIA)}</link>')
        found.append(_joint("revolute", f"{prefix}_joint{number}", parent, link, f"{start} 0 0", axis, 3.1))
        parent = link
    for number, sign in ((7, 1), (8, -1)):
        link = f"{prefix}_link{number}"
        shape = _box("0.085 0.012 0.03", f"0.0425 {sign * 0.006} 0", "0.1 0.1 0.1")
        found.append(f'<link name="{link}">{shape}</link>')
        found.append(_joint("prismatic", f"{prefix}_joint{number}", parent, link, "0.055 0 0", f"0 {sign} 0", OPEN))
    found.append(f'<link name="{side}_camera">{_INERTIA}</link>')
    return [*found, _fixed(parent, f"{side}_camera", "-0.02 0 0.08", "0 0.45 0")]


_INERTIA = '<inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>'


def _box(size: str, center: str, color: str) -> str:
    shape = f'<origin xyz="{center}"/><geometry><box size="{size}"/></geometry>'
    material = f'<material name="m"><color rgba="{color} 1"/></material>'
    return f"{_INERTIA}<visual>{shape}{material}</visual><collision>{shape}</collision>"


def _fixed(parent: str, child: str, place: str, turn: str = "0 0 0") -> str:
    ends = f'<parent link="{parent}"/><child link="{child}"/>'
    return f'<joint name="{child}_fix" type="fixed">{ends}<origin xyz="{place}" rpy="{turn}"/></joint>'


def _joint(kind: str, name: str, parent: str, child: str, place: str, axis: str, limit: float) -> str:
    low = 0.0 if kind == "prismatic" else -limit
    ends = f'<parent link="{parent}"/><child link="{child}"/><origin xyz="{place}"/><axis xyz="{axis}"/>'
    limits = f'<limit lower="{low}" upper="{limit}" effort="100" velocity="3"/>'
    return f'<joint name="{name}" type="{kind}">{ends}{limits}</joint>'


def configuration() -> str:
    """The robot's config.yml; JSON is YAML, too."""
    sides = ("fl", "fr")
    numbered = [[f"{side}_joint{n}" for n in range(1, ARM_JOINTS + 1)] for side in sides]
    same, turned = [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
    return (
        json.dumps(
            {
                "urdf_path": "standin.urdf",
                "srdf_path": "standin.srdf",
                "move_group": [f"{side}_link6" for side in sides],
                "ee_joints": [f"{side}_joint6" for side in sides],
                "arm_joints_name": numbered,
                "gripper_name": [{"base": f"{side}_joint7", "mimic": [[f"{side}_joint8", 1.0, 0.0]]} for side in sides],
                "gripper_bias": TIP,
                "gripper_scale": [0.0, OPEN],
                "homestate": [HOME, HOME],
                "delta_matrix": same,
                "global_trans_matrix": turned,  # SAPIEN's frame of a joint about x is its link's, half turned
                "robot_pose": [[0.0, -0.65, 0.0, 0.707107, 0.0, 0.0, 0.707107]],
                "static_camera_list": CAMERAS,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    write_assets(Path(sys.argv[1]))
    write_lists(Path(sys.argv[2]))
