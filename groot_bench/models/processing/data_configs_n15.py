"""Data configurations of the original N1.5 repository, as facts: names, keys, order, modes.

From `gr00t/experiment/data_config.py` (DATA_CONFIG_MAP) and `examples/{Libero,SimplerEnv}/custom_data_config.py` of
NVIDIA/Isaac-GR00T at the tag n1.5-release (4af2b62). The latter have no short names there; here they are "libero",
"libero_mean_std", "simpler_bridge" and "simpler_fractal". All have a horizon of 16 and one observation step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groot_bench.errors import UnknownName
from groot_bench.models.processing.data_config_n15 import DataConfigN15

HUMAN = "annotation.human.task_description"
HUMAN_ACTION = "annotation.human.action.task_description"
ARMS_HANDS = ("left_arm", "right_arm", "left_hand", "right_hand")
POSE = ("x", "y", "z", "roll", "pitch", "yaw")


def built_in_data_config(name: str) -> DataConfigN15:
    """The data configuration of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in DATA_CONFIGS:
        raise UnknownName("N1.5 data configuration", name, DATA_CONFIGS)
    return DATA_CONFIGS[name]


def _config(
    video: Sequence[str],
    state: Sequence[str],
    action: Sequence[str],
    language: str,
    state_modes: str | Mapping[str, str] = "min_max",
    action_modes: str | Mapping[str, str] = "min_max",
    rotations: Mapping[str, str] | None = None,
    sin_cos: bool = False,
) -> DataConfigN15:
    """Keys without prefix; a mode that is one text holds for all keys of that modality."""
    return DataConfigN15(
        video_keys=tuple(f"video.{key}" for key in video),
        state_keys=tuple(f"state.{key}" for key in state),
        action_keys=tuple(f"action.{key}" for key in action),
        language_keys=(language,),
        state_modes={} if sin_cos else _modes("state", state, state_modes),
        action_modes=_modes("action", action, action_modes),
        target_rotations=rotations or {},
        sin_cos=tuple(f"state.{key}" for key in state) if sin_cos else (),
    )


def _modes(prefix: str, keys: Sequence[str], modes: str | Mapping[str, str]) -> dict[str, str]:
    each = dict.fromkeys(keys, modes) if isinstance(modes, str) else modes
    return {f"{prefix}.{key}": mode for key, mode in each.items()}


def _bimanual_panda(view: str, state_tool: str, action_tool: str, tool_mode: str) -> DataConfigN15:
    """Two Panda arms; poses of actions are not normalised."""
    state = [f"{side}_{part}" for side in ("right", "left") for part in ("arm_eef_pos", "arm_eef_quat", state_tool)]
    action = [f"{side}_{part}" for side in ("right", "left") for part in ("arm_eef_pos", "arm_eef_rot", action_tool)]
    return _config(
        ["right_wrist_view", "left_wrist_view", view],
        state,
        action,
        HUMAN_ACTION,
        state_modes={key: "min_max" for key in state if not key.endswith("quat")},
        action_modes={key: tool_mode for key in action if key.endswith(action_tool)},
        rotations={f"state.{side}_arm_eef_quat": "rotation_6d" for side in ("right", "left")},
    )


def _single_panda() -> DataConfigN15:
    """One Panda arm on a mobile base, as in RoboCasa."""
    state = ["end_effector_position_relative", "end_effector_rotation_relative", "gripper_qpos"]
    state += ["base_position", "base_rotation"]
    action = ["end_effector_position", "end_effector_rotation", "gripper_close", "base_motion", "control_mode"]
    return _config(
        ["left_view", "right_view", "wrist_view"],
        state,
        action,
        HUMAN_ACTION,
        action_modes={key: "binary" if key in ("gripper_close", "control_mode") else "min_max" for key in action},
        rotations={f"state.{key}": "rotation_6d" for key in ("end_effector_rotation_relative", "base_rotation")},
    )


def _oxe_droid() -> DataConfigN15:
    return _config(
        ["exterior_image_1", "exterior_image_2", "wrist_image"],
        ["eef_position", "eef_rotation", "gripper_position"],
        ["eef_position_delta", "eef_rotation_delta", "gripper_position"],
        "annotation.language.language_instruction",
        state_modes={"eef_position": "min_max", "gripper_position": "min_max"},
        action_modes={"gripper_position": "binary"},
        rotations={"state.eef_rotation": "rotation_6d", "action.eef_rotation_delta": "axis_angle"},
    )


def _agibot() -> DataConfigN15:
    parts = ["left_arm_joint_position", "right_arm_joint_position", "left_effector_position"]
    parts += ["right_effector_position", "head_position", "waist_position"]
    language = "annotation.language.action_text"
    return _config(["top_head", "hand_left", "hand_right"], parts, [*parts, "robot_velocity"], language)


GRIPPER_POSE = (*POSE, "gripper")
POSE_STANDARD = {**dict.fromkeys(POSE, "mean_std"), "gripper": "min_max"}
LEGS_WAIST = ("left_leg", "right_leg", "waist")
UPPER_BODY = (*ARMS_HANDS, "waist", "neck")
GR1_WAIST = (*ARMS_HANDS, "waist")
SO100 = ("single_arm", "gripper")
LIBERO_VIEWS = ("image", "wrist_image")
FRACTAL_STATE = ("x", "y", "z", "rx", "ry", "rz", "rw", "gripper")

DATA_CONFIGS: Mapping[str, DataConfigN15] = {
    "fourier_gr1_arms_waist": _config(
        ["ego_view"], GR1_WAIST, GR1_WAIST, "annotation.human.coarse_action", sin_cos=True
    ),
    "fourier_gr1_arms_only": _config(["ego_view"], ARMS_HANDS, ARMS_HANDS, HUMAN_ACTION, sin_cos=True),
    "fourier_gr1_full_upper_body": _config(["front_view"], UPPER_BODY, UPPER_BODY, HUMAN_ACTION),
    "bimanual_panda_gripper": _bimanual_panda("front_view", "gripper_qpos", "gripper_close", "binary"),
    "bimanual_panda_hand": _bimanual_panda("ego_view", "hand", "hand", "min_max"),
    "single_panda_gripper": _single_panda(),
    "so100": _config(["webcam"], SO100, SO100, HUMAN),
    "so100_dualcam": _config(["front", "wrist"], SO100, SO100, HUMAN),
    "unitree_g1": _config(["rs_view"], ARMS_HANDS, ARMS_HANDS, HUMAN),
    "unitree_g1_full_body": _config(["rs_view"], [*LEGS_WAIST, *ARMS_HANDS], ARMS_HANDS, HUMAN),
    "oxe_droid": _oxe_droid(),
    "agibot_genie1": _agibot(),
    "libero": _config(LIBERO_VIEWS, GRIPPER_POSE, GRIPPER_POSE, HUMAN_ACTION),
    "libero_mean_std": _config(LIBERO_VIEWS, GRIPPER_POSE, GRIPPER_POSE, HUMAN_ACTION, action_modes=POSE_STANDARD),
    "simpler_bridge": _config(["image_0"], [*POSE, "pad", "gripper"], GRIPPER_POSE, HUMAN_ACTION),
    "simpler_fractal": _config(["image"], FRACTAL_STATE, GRIPPER_POSE, HUMAN_ACTION, action_modes=POSE_STANDARD),
}
