"""What a variant's name says, as both sides read it; the names themselves come with LIBERO-plus, and are not here.

A task is "<LIBERO's suite>/<category>/<upstream's name of the variant>". Upstream's names are a LIBERO task's name and
what was changed in it, as its `ControlEnv` (envs/env_wrapper.py) and its `Benchmark` (benchmark/__init__.py) read them.
"""

from __future__ import annotations

import re
from typing import Dict, NamedTuple, Tuple

from groot_envs.libero.tasks import instruction

# Upstream's name of a category -> ours, in the order of its tables.
CATEGORIES: Dict[str, str] = {
    "Camera Viewpoints": "camera",
    "Robot Initial States": "robot",
    "Language Instructions": "language",
    "Light Conditions": "light",
    "Background Textures": "background",
    "Sensor Noise": "noise",
    "Objects Layout": "layout",
}

# LIBERO's suite -> how many variants of its ten tasks there are at the pinned commit.
COUNTS: Dict[str, int] = {"libero_spatial": 2402, "libero_object": 2518, "libero_goal": 2591, "libero_10": 2519}

ROBOTS, NOISES = 500, 50  # arms with other first poses; five kinds of noise in ten severities

# Of the two protocols: upstream's words, in which most variants have their parameters as words, too; and without these.
OFFICIAL, BASE_WORDS = "libero_plus/official", "libero_plus/base-words"

_NAME = re.compile(
    r"(?P<base>[A-Za-z0-9_]{1,160}?)"
    r"(?:_(?P<scene>(?:table|tb|light|add)_\d{1,4}|(?:moved_)?level\d{1,4}_sample\d{1,4}))?"
    r"(?P<reworded>_language_\d{1,4})?"
    r"(?:_view_(?P<camera>\d{1,3}_\d{1,3}_\d{1,3}_\d{1,3}_\d{1,3})"
    r"_initstate_(?P<robot>\d{1,3})(?:_noise_(?P<noise>\d{1,2}))?)?"
)


class Camera(NamedTuple):
    """How the fixed camera is moved: about the scene sideways and upwards [degrees], to this many percent of its
    distance, and turned in place sideways and upwards [degrees]."""

    around: int
    above: int
    distance: int
    turned: int
    tilted: int


STILL = Camera(0, 0, 100, 0, 0)


class Variant(NamedTuple):
    """One variant of a LIBERO task.

    Attributes:
        suite: LIBERO's. name: upstream's name.
        base: the LIBERO task.
        scene: which textures, lights or objects the scene has instead, "table_7"; "" for LIBERO's.
        reworded: whether the instruction is another one.
        camera: where the fixed camera is.
        robot: which of the arms with another first pose it is, 1 to 500; 0 for LIBERO's.
        noise: of the fixed camera's picture, 1 to 50; 0 for none.
    """

    suite: str
    name: str
    base: str
    scene: str
    reworded: bool
    camera: Camera
    robot: int
    noise: int

    @property
    def bddl(self) -> str:
        """The file that defines its scene, in the folder of BDDL files."""
        return self.suite + "/" + self.name.partition("_view_")[0] + ".bddl"

    @property
    def starts(self) -> str:
        """The file of its initial states, in the folder of those; other objects have one state of their own."""
        if self.scene.startswith(("add_", "level", "moved_")):
            return "libero_newobj/" + self.suite + "/" + self.name + ".pruned_init"
        return self.suite + "/" + self.base + ".pruned_init"

    @property
    def fixed_starts(self) -> int:
        """How many initial states that file holds."""
        return 1 if self.starts.startswith("libero_newobj/") else 50

    def words(self, protocol: str) -> str:
        """The words that the policy is told, unless they are `reworded`: those stand in the BDDL file."""
        return instruction(self.base if protocol == BASE_WORDS else self.name)


def parse(task: str) -> Variant:
    """The variant of that name.

    Args:
        task: "<LIBERO's suite>/<category>/<upstream's name>".

    Raises:
        ValueError: it is no such name, or has a number out of its range.
    """
    suite, _, rest = task.partition("/")
    category, _, name = rest.partition("/")
    found = _NAME.fullmatch(name)
    if found is None or suite not in COUNTS or category not in CATEGORIES.values():
        raise ValueError("%r is no variant of LIBERO-plus" % task)
    numbers: Tuple[int, ...] = tuple(map(int, (found["camera"] or "0_0_100_0_0").split("_")))
    variant = Variant(
        suite=suite,
        name=name,
        base=found["base"],
        scene=found["scene"] or "",
        reworded=found["reworded"] is not None,
        camera=Camera(*numbers),
        robot=int(found["robot"] or 0),
        noise=int(found["noise"] or 0),
    )
    if variant.robot > ROBOTS or variant.noise > NOISES or not variant.camera.distance:
        raise ValueError("%r has a number that LIBERO-plus does not have" % task)
    return variant
