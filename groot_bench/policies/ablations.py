"""What can be taken from a policy, as plain values, each with a text form for the command line and the manifest.

camera=wrist:black         all pixels 0 ("blank" means the same)
camera=*:gray              all pixels 128, in every camera
camera=front~wrist         each shows what the other one sees
state=gripper_qpos:zero    all numbers 0, before the policy's own normalization; * for every part
instruction=blank          the empty text
instruction=text:lift it   this text, in every episode
instruction=swap           the instruction of another task, see `SwappedInstruction`
latency=3                  chunks arrive 3 control steps late; until the first one its first action is repeated
latency=3:zero             the same, with zeros until then
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from groot_bench.errors import UnknownName, UsageError
from groot_bench.policies.delayed import HOLDS
from groot_bench.spec import STATE, VIDEO

EVERY = "*"
PIXELS = {"black": 0, "gray": 128}
ALIASES = {"blank": "black", "grey": "gray"}


@dataclass(frozen=True)
class BlankCamera:
    """All pixels of a camera have one value.

    Attributes:
        name: of the camera, with or without "video."; "*" for all that the policy reads.
        color: "black" (0) or "gray" (128).
    """

    name: str = EVERY
    color: str = "black"

    def __post_init__(self) -> None:
        _require_name("camera", self.name)
        if self.color not in PIXELS:
            raise UnknownName("color of a blank camera", self.color, PIXELS)

    @property
    def keys(self) -> tuple[str, ...]:
        """What it changes."""
        return (_key(VIDEO, self.name),)

    def __str__(self) -> str:
        return f"camera={self.name.removeprefix(VIDEO)}:{self.color}"


@dataclass(frozen=True)
class SwappedCameras:
    """Each of two cameras shows what the other one sees; names with or without "video."."""

    one: str
    other: str

    def __post_init__(self) -> None:
        for name in (self.one, self.other):
            _require_name("camera", name)
        if EVERY in (self.one, self.other) or len(set(self.keys)) == 1:
            raise UsageError(f"two different cameras are swapped by name, as in camera=front~wrist; got {self}")

    @property
    def keys(self) -> tuple[str, ...]:
        """What it changes."""
        return _key(VIDEO, self.one), _key(VIDEO, self.other)

    def __str__(self) -> str:
        return "camera=" + "~".join(sorted(name.removeprefix(VIDEO) for name in (self.one, self.other)))


@dataclass(frozen=True)
class ZeroState:
    """All numbers of a part of the state are 0, as the suite would give them, before any normalization.

    Attributes:
        name: of the part, with or without "state."; "*" for all that the policy reads.
    """

    name: str = EVERY

    def __post_init__(self) -> None:
        _require_name("part of the state", self.name)

    @property
    def keys(self) -> tuple[str, ...]:
        """What it changes."""
        return (_key(STATE, self.name),)

    def __str__(self) -> str:
        return f"state={self.name.removeprefix(STATE)}:zero"


@dataclass(frozen=True)
class GivenInstruction:
    """Every episode is told this text; "" is the blank instruction."""

    text: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise UsageError(f"an instruction must be a text, got {self.text!r}")

    @property
    def keys(self) -> tuple[str, ...]:
        """What it changes."""
        return ("instruction",)

    def __str__(self) -> str:
        return f"instruction=text:{self.text}" if self.text else "instruction=blank"


@dataclass(frozen=True)
class SwappedInstruction:
    """Every episode is told an instruction of another task of its suite, drawn from the episode's own identity.

    The texts come with the policy, see `AblatedPolicy`: what other tasks say is not known where one task runs.
    """

    @property
    def keys(self) -> tuple[str, ...]:
        """What it changes."""
        return ("instruction",)

    def __str__(self) -> str:
        return "instruction=swap"


@dataclass(frozen=True)
class Latency:
    """Chunks arrive late, see `groot_bench.policies.delayed`.

    Attributes:
        steps: control steps.
        hold: what is executed until the first chunk arrives: its "first" action, repeated, or "zero".
    """

    steps: int
    hold: str = "first"

    def __post_init__(self) -> None:
        if type(self.steps) is not int or self.steps < 0:
            raise UsageError(f"latency must be a whole number of control steps, 0 or more, got {self.steps!r}")
        if self.hold not in HOLDS:
            raise UnknownName("hold of a latency", self.hold, HOLDS)

    @property
    def keys(self) -> tuple[str, ...]:
        """What it changes."""
        return ("latency",)

    def __str__(self) -> str:
        return f"latency={self.steps}:{self.hold}"


Ablation = BlankCamera | SwappedCameras | ZeroState | GivenInstruction | SwappedInstruction | Latency


def parse_ablation(text: str) -> Ablation:
    """The ablation with this text form; `str` of it gives the canonical one.

    Raises:
        UnknownName: no such kind of ablation, color or hold.
        UsageError: the rest of the text cannot be meant.
    """
    kind, equals, value = text.partition("=")
    if kind not in _PARSERS:
        raise UnknownName("ablation", kind, _PARSERS)
    if not equals or not value:
        raise UsageError(f"ablation {text!r} says nothing; forms are {_FORMS[kind]}")
    return _PARSERS[kind](value)


def parse_ablations(texts: Iterable[str]) -> tuple[Ablation, ...]:
    """Several; see `parse_ablation` and `require_apart`."""
    return require_apart(parse_ablation(text) for text in texts)


def require_apart(ablations: Iterable[Ablation]) -> tuple[Ablation, ...]:
    """The ablations, sorted by their texts, since their order has no meaning.

    Raises:
        UsageError: two of them change the same thing.
    """
    found = tuple(sorted(ablations, key=str))
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            if any(_meet(a, b) for a in one.keys for b in other.keys):
                raise UsageError(f"ablations {one} and {other} change the same thing; give one of them")
    return found


def _camera(value: str) -> Ablation:
    if "~" in value:
        one, _, other = value.partition("~")
        return SwappedCameras(one, other)
    name, _, color = value.rpartition(":")
    if not name:
        raise UsageError(f"ablation 'camera={value}' does not say what is shown instead; forms are {_FORMS['camera']}")
    return BlankCamera(name, ALIASES.get(color, color))


def _state(value: str) -> Ablation:
    name, _, what = value.rpartition(":")
    if not name or what != "zero":
        raise UsageError(f"ablation 'state={value}' cannot be meant; forms are {_FORMS['state']}")
    return ZeroState(name)


def _instruction(value: str) -> Ablation:
    if value == "swap":
        return SwappedInstruction()
    kind, _, text = value.partition(":")
    if value == "blank" or (kind == "text" and text):
        return GivenInstruction(text)
    raise UsageError(f"ablation 'instruction={value}' cannot be meant; forms are {_FORMS['instruction']}")


def _latency(value: str) -> Ablation:
    steps, colon, hold = value.partition(":")
    if not (steps.isascii() and steps.isdecimal()) or len(steps) > 9:
        raise UsageError(f"ablation 'latency={value}' is no number of control steps; forms are {_FORMS['latency']}")
    return Latency(int(steps), hold) if colon else Latency(int(steps))


_PARSERS = {"camera": _camera, "state": _state, "instruction": _instruction, "latency": _latency}
_FORMS = {
    "camera": "camera=NAME:black, camera=NAME:gray (NAME may be *) and camera=NAME~NAME",
    "state": "state=NAME:zero (NAME may be *)",
    "instruction": "instruction=blank, instruction=swap and instruction=text:SOME TEXT",
    "latency": "latency=STEPS, latency=STEPS:first and latency=STEPS:zero",
}


def _key(prefix: str, name: str) -> str:
    return prefix + name.removeprefix(prefix)


def _meet(one: str, other: str) -> bool:
    if one == other:
        return True
    wild = [key for key in (one, other) if key.endswith("." + EVERY)]
    return bool(wild) and one.partition(".")[0] == other.partition(".")[0]


def _require_name(what: str, name: str) -> None:
    bare = name.removeprefix(VIDEO).removeprefix(STATE)
    if not bare or "~" in bare:
        raise UsageError(f"{name!r} cannot be the name of a {what}")
