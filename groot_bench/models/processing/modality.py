"""What `processor_config.json` of N1.6 and N1.7 says of states and actions: keys, order, normalisation, switches.

Names are those of the file. Enums are written by name ("RELATIVE") in released files; their values ("relative") are
accepted as well. Switches that older files lack have the defaults of the original processor classes: `clip_outliers`
and `formalize_language` true, all others false.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from groot_bench.models.jsonfields import Fields, raise_if

MAX_TAGS = 4096
MAX_KEYS = 4096
MAX_STEPS = 1 << 14
MAX_CHUNK = 1 << 24  # numbers in a padded chunk of actions
MODALITIES = ("video", "state", "action", "language")
MODALITY_FIELDS = ("delta_indices", "modality_keys", "sin_cos_embedding_keys", "mean_std_embedding_keys")

E = TypeVar("E", bound=enum.Enum)


class ActionRepresentation(enum.Enum):
    """What an action's numbers are relative to in the model's space."""

    RELATIVE = "relative"  # to the last state
    DELTA = "delta"  # to the previous step; left as it is by the processor
    ABSOLUTE = "absolute"


class ActionType(enum.Enum):
    """Whether a relative action is a pose (relative in SE(3)) or a plain vector (relative by subtraction)."""

    EEF = "eef"
    NON_EEF = "non_eef"


class ActionFormat(enum.Enum):
    """Layout of one action: plain numbers, or a pose as position [m] and rotation."""

    DEFAULT = "default"
    XYZ_ROT6D = "xyz+rot6d"  # (9,): the rotation as the first two rows of its matrix
    XYZ_ROTVEC = "xyz+rotvec"  # (6,): the rotation as axis times angle [rad]


@dataclass(frozen=True)
class ActionConfig:
    """How one action key is represented; `state_key` is its reference where that has another name."""

    rep: ActionRepresentation
    type: ActionType
    format: ActionFormat
    state_key: str | None = None


@dataclass(frozen=True)
class ModalityConfig:
    """One modality of one embodiment.

    Attributes:
        delta_indices: time steps that are read (or predicted), relative to now.
        modality_keys: parts, in the order in which the model reads them; without a prefix such as "state.".
        sin_cos_embedding_keys: those that are encoded by sine and cosine, if the processor's switch is on.
        mean_std_embedding_keys: those that are normalised by mean and standard deviation.
        action_configs: one for each key, or empty where all are absolute.
    """

    delta_indices: tuple[int, ...]
    modality_keys: tuple[str, ...]
    sin_cos_embedding_keys: tuple[str, ...] = ()
    mean_std_embedding_keys: tuple[str, ...] = ()
    action_configs: tuple[ActionConfig, ...] = ()

    def action_config(self, key: str) -> ActionConfig:
        """How that action is represented."""
        if not self.action_configs:
            return ActionConfig(ActionRepresentation.ABSOLUTE, ActionType.NON_EEF, ActionFormat.DEFAULT)
        return self.action_configs[self.modality_keys.index(key)]


@dataclass(frozen=True)
class EmbodimentConfig:
    """The four modalities of one embodiment tag."""

    video: ModalityConfig
    state: ModalityConfig
    action: ModalityConfig
    language: ModalityConfig


@dataclass(frozen=True)
class ProcessorConfig:
    """What the state and action part of a processor is set to.

    Attributes:
        embodiments: by tag.
        max_state_dim, max_action_dim, max_action_horizon: padded sizes that the model reads and returns.
        use_percentiles: ranges from q01 to q99 and not from min to max; never for relative actions.
        clip_outliers: whether what was normalised is clipped to [-1, 1].
        apply_sincos_state_encoding: whether `sin_cos_embedding_keys` have an effect.
        use_relative_action: whether `rep` RELATIVE has an effect.
        exclude_state: whether the model gets zeros for its state (N1.7).
        formalize_language: whether instructions are lower-cased and lose their punctuation.
    """

    embodiments: Mapping[str, EmbodimentConfig]
    max_state_dim: int
    max_action_dim: int
    max_action_horizon: int
    use_percentiles: bool = False
    clip_outliers: bool = True
    apply_sincos_state_encoding: bool = False
    use_relative_action: bool = False
    exclude_state: bool = False
    formalize_language: bool = True


def parse_processor(json: object, where: str = "processor_config.json") -> ProcessorConfig:
    """The state and action settings of a parsed processor_config.json; what it says of images is not read here.

    Raises:
        CheckpointError: with every field that is missing, of a wrong type or an unknown name.
    """
    problems: list[str] = []
    kwargs = Fields(json, where, problems).inner("processor_kwargs")
    tags = kwargs.inner("modality_configs")
    if len(tags.data) > MAX_TAGS:
        tags.problems.append(f"{tags.where}: {len(tags.data)} embodiments; at most {MAX_TAGS} can be meant")
        raise_if(problems, f"{where} cannot be used")
    embodiments = {}
    for tag in tags.data:
        entry = tags.inner(tag)
        embodiments[tag] = EmbodimentConfig(*(_modality(entry.inner(name)) for name in MODALITIES))
    config = ProcessorConfig(
        embodiments=embodiments,
        max_state_dim=kwargs.size("max_state_dim"),
        max_action_dim=kwargs.size("max_action_dim"),
        max_action_horizon=kwargs.size("max_action_horizon", most=MAX_STEPS),
        use_percentiles=kwargs.flag("use_percentiles", False),
        clip_outliers=kwargs.flag("clip_outliers", True),
        apply_sincos_state_encoding=kwargs.flag("apply_sincos_state_encoding", False),
        use_relative_action=kwargs.flag("use_relative_action", False),
        exclude_state=kwargs.flag("exclude_state", False),
        formalize_language=kwargs.flag("formalize_language", True),
    )
    if config.max_action_dim * config.max_action_horizon > MAX_CHUNK:
        kwargs.complain("max_action_dim", f"times max_action_horizon is above {MAX_CHUNK}, which cannot be meant")
    raise_if(problems, f"{where} cannot be used")
    return config


def _modality(fields: Fields) -> ModalityConfig:
    for name in fields.data:
        if name not in (*MODALITY_FIELDS, "action_configs"):
            fields.complain(str(name), "is not known here, and may change what the numbers mean")
    keys = _names(fields, "modality_keys", least=1)
    modality = ModalityConfig(
        delta_indices=_steps(fields),
        modality_keys=keys,
        sin_cos_embedding_keys=_subset(fields, "sin_cos_embedding_keys", keys),
        mean_std_embedding_keys=_subset(fields, "mean_std_embedding_keys", keys),
        action_configs=_action_configs(fields),
    )
    if modality.action_configs and len(modality.action_configs) != len(keys):
        fields.complain("action_configs", f"has {len(modality.action_configs)} entries for {len(keys)} modality_keys")
    return modality


def _steps(fields: Fields) -> tuple[int, ...]:
    value = fields.data.get("delta_indices")
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= MAX_STEPS
        or not all(type(item) is int and abs(item) <= MAX_STEPS for item in value)
    ):
        fields.complain("delta_indices", f"expected a list of 1 to {MAX_STEPS} whole numbers, {_brief(value)}")
        return ()
    return tuple(value)


def _names(fields: Fields, name: str, least: int = 0) -> tuple[str, ...]:
    value = fields.data.get(name)
    if value is None and not least:
        return ()
    if (
        not isinstance(value, list)
        or not least <= len(value) <= MAX_KEYS
        or not all(isinstance(item, str) and item for item in value)
    ):
        fields.complain(name, f"expected a list of {least} to {MAX_KEYS} names, {_brief(value)}")
        return ()
    if len(set(value)) != len(value):
        fields.complain(name, f"names a key twice: {_brief(value)}")
    return tuple(value)


def _subset(fields: Fields, name: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    names = _names(fields, name)
    strange = [item for item in names if item not in keys]
    if strange:
        fields.complain(name, f"names {', '.join(strange)}, not among the modality_keys")
    return names


def _action_configs(fields: Fields) -> tuple[ActionConfig, ...]:
    value = fields.data.get("action_configs")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_KEYS:
        fields.complain("action_configs", f"expected a list of at most {MAX_KEYS} objects, {_brief(value)}")
        return ()
    found = []
    for index, item in enumerate(value):
        entry = Fields(item, f"{fields.where}.action_configs[{index}]", fields.problems)
        found.append(
            ActionConfig(
                rep=_member(entry, "rep", ActionRepresentation),
                type=_member(entry, "type", ActionType),
                format=_member(entry, "format", ActionFormat),
                state_key=entry.text("state_key") if entry.data.get("state_key") else None,
            )
        )
    return tuple(found)


def _member(fields: Fields, name: str, members: type[E]) -> E:
    """The member written by name or by value."""
    value = fields.data.get(name)
    for member in members:
        if value in (member.name, member.value):
            return member
    fields.complain(name, f"expected one of {', '.join(member.name for member in members)}, {_brief(value)}")
    return next(iter(members))


def _brief(value: object) -> str:
    text = repr(value)
    return f"got {text if len(text) <= 60 else text[:57] + '...'}"
