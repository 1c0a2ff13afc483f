"""Between raw states and actions of one embodiment and the padded arrays that a model reads and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from groot_bench.errors import PolicyError, SpecMismatch
from groot_bench.models.processing.modality import ActionFormat
from groot_bench.models.processing.poses import require_pose, to_absolute, to_relative
from groot_bench.models.processing.scaling import Scaler

Arrays = Mapping[str, np.ndarray]


class Codec(Protocol):
    """What the rest of the policy knows of states and actions. Keys have no prefix such as "state.".

    Attributes:
        tag: of the embodiment.
        embodiment: row of the model's per-embodiment tables.
        state_dims, action_dims: raw width of each key, in the checkpoint's order.
        horizon: control steps of a decoded chunk.
        state_steps: length of the time axis of the states that it reads.
    """

    @property
    def tag(self) -> str: ...

    @property
    def embodiment(self) -> int: ...

    @property
    def state_dims(self) -> Mapping[str, int]: ...

    @property
    def action_dims(self) -> Mapping[str, int]: ...

    @property
    def horizon(self) -> int: ...

    @property
    def state_steps(self) -> int: ...

    def encode_state(self, state: Arrays) -> np.ndarray:
        """raw float (T, D) for each key -> float32 (T, max_state_dim)."""

    def state_mask(self) -> np.ndarray:
        """bool (max_state_dim,), True where an encoded state has a real entry."""

    def encode_action(self, action: Arrays, state: Arrays) -> tuple[np.ndarray, np.ndarray]:
        """raw float (H, D) for each key -> float32 (max_horizon, max_action_dim), and a mask of 0 and 1 like it."""

    def decode_action(self, output: np.ndarray, state: Arrays) -> dict[str, np.ndarray]:
        """float (max_horizon, max_action_dim) of the model -> raw float32 (H, D) for each key."""


@dataclass(frozen=True)
class Relation:
    """One action key is relative to the last step of a state key; `layout` says in what sense."""

    state_key: str
    layout: ActionFormat


@dataclass(frozen=True)
class KeyCodec:
    """A `Codec` in which every key is scaled by itself; made by `make_codec_n15` and `make_codec_n17`.

    Attributes:
        tag, embodiment: see `Codec`.
        state_scalers, action_scalers: by key, in the checkpoint's order.
        relations: of the action keys that are relative to a state.
        state_steps, horizon: lengths of the raw time axes.
        max_state_dim, max_action_dim, max_horizon: padded sizes.
        exclude_state: whether the model gets zeros for its state.
    """

    tag: str
    embodiment: int
    state_scalers: Mapping[str, Scaler]
    action_scalers: Mapping[str, Scaler]
    state_steps: int
    horizon: int
    max_state_dim: int
    max_action_dim: int
    max_horizon: int
    relations: Mapping[str, Relation] = field(default_factory=dict)
    exclude_state: bool = False

    @property
    def state_dims(self) -> dict[str, int]:
        return {key: scaler.dims for key, scaler in self.state_scalers.items()}

    @property
    def action_dims(self) -> dict[str, int]:
        return {key: scaler.dims for key, scaler in self.action_scalers.items()}

    def encode_state(self, state: Arrays) -> np.ndarray:
        """See `Codec`; keys beyond those that are read are not looked at.

        Raises:
            SpecMismatch: a key is missing, has another shape, is not finite or no rotation; all are named.
        """
        encoded = self.normalize_state(state)
        padded = np.zeros((self.state_steps, self.max_state_dim), dtype=np.float32)
        if not self.exclude_state:
            joined = np.concatenate(list(encoded.values()), axis=-1)
            padded[:, : joined.shape[-1]] = joined
        return padded

    def state_mask(self) -> np.ndarray:
        """See `Codec`."""
        return np.arange(self.max_state_dim) < sum(scaler.width for scaler in self.state_scalers.values())

    def encode_action(self, action: Arrays, state: Arrays) -> tuple[np.ndarray, np.ndarray]:
        """See `Codec`; the state is read for relative keys only.

        Raises:
            SpecMismatch: as `encode_state`, for actions and for the states that they are relative to.
        """
        joined = np.concatenate(list(self.normalize_action(action, state).values()), axis=-1)
        padded = np.zeros((self.max_horizon, self.max_action_dim), dtype=np.float32)
        mask = np.zeros_like(padded)
        padded[: self.horizon, : joined.shape[-1]] = joined
        mask[: self.horizon, : joined.shape[-1]] = 1
        return padded, mask

    def decode_action(self, output: np.ndarray, state: Arrays) -> dict[str, np.ndarray]:
        """See `Codec`; what the model returns beyond the horizon and the real dimensions is not read.

        Raises:
            SpecMismatch: the output has another shape, or a state that is needed is missing or wrong.
            PolicyError: the output is not finite, or is no rotation where one is needed.
        """
        raw = self.denormalize_action(output, state)
        return {key: values.astype(np.float32) for key, values in raw.items()}

    def normalize_state(self, state: Arrays) -> dict[str, np.ndarray]:
        """raw (T, D) -> encoded (T, width) for each key, in the type of the raw values, before padding."""
        raw = _checked(state, self.state_dims, self.state_steps, f"state of embodiment {self.tag!r}")
        return _each(raw, {key: scaler.encode for key, scaler in self.state_scalers.items()}, "state")

    def normalize_action(self, action: Arrays, state: Arrays) -> dict[str, np.ndarray]:
        """raw (H, D) -> encoded (H, width) for each key; relative keys in float64, others in their own type."""
        raw = _checked(action, self.action_dims, self.horizon, f"action of embodiment {self.tag!r}")
        references = self._references(state)
        relative = {
            key: _named(f"action.{key}", to_relative, raw[key], references[key], relation.layout)
            for key, relation in self.relations.items()
        }
        return _each({**raw, **relative}, {key: scaler.encode for key, scaler in self.action_scalers.items()}, "action")

    def denormalize_action(self, output: np.ndarray, state: Arrays) -> dict[str, np.ndarray]:
        """As `decode_action`, but in the type in which it is computed, float64 for ranges and relative keys."""
        steps = self._real_part(output)
        references = self._references(state)
        raw, start = {}, 0
        for key, scaler in self.action_scalers.items():
            part, start = steps[:, start : start + scaler.width], start + scaler.width
            try:
                with np.errstate(over="ignore", invalid="ignore"):
                    values = scaler.decode(part)
                    if key in self.relations:
                        values = to_absolute(values, references[key], self.relations[key].layout)
            except SpecMismatch as problem:
                raise PolicyError(f"action.{key}: the model's output cannot be decoded: {problem}") from None
            if not np.isfinite(values).all():
                raise PolicyError(f"action.{key}: the model's output decodes to numbers that are not finite")
            raw[key] = values
        return raw

    def _real_part(self, output: np.ndarray) -> np.ndarray:
        """The first `horizon` rows of the model's output, checked."""
        shape = (self.max_horizon, self.max_action_dim)
        if not isinstance(output, np.ndarray) or output.shape != shape or output.dtype.kind != "f":
            raise SpecMismatch(f"output of the model: expected a float array {list(shape)}, got {_described(output)}")
        width = sum(scaler.width for scaler in self.action_scalers.values())
        real = output[: self.horizon, :width]
        bad = int((~np.isfinite(real)).sum())
        if bad:
            raise PolicyError(f"the model returned {bad} numbers that are not finite for embodiment {self.tag!r}")
        return real if real.dtype == np.float64 else real.astype(np.float32)

    def _references(self, state: Arrays) -> dict[str, np.ndarray]:
        """The last step of the state, (D,), for each action key that is relative to one."""
        dims = {relation.state_key: self.state_dims[relation.state_key] for relation in self.relations.values()}
        raw = _checked(state, dims, self.state_steps, f"state that actions of embodiment {self.tag!r} are relative to")
        references = {key: raw[relation.state_key][-1] for key, relation in self.relations.items()}
        for key, relation in self.relations.items():
            _named(f"state.{relation.state_key}", require_pose, references[key], relation.layout)
        return references


def _checked(arrays: Arrays, dims: Mapping[str, int], steps: int, what: str) -> dict[str, np.ndarray]:
    """The arrays of `dims`, float32 or float64; raises SpecMismatch with everything that is wrong with them."""
    found, problems = {}, []
    for key, size in dims.items():
        if key not in arrays:
            problems.append(f"{key} is missing (given: {', '.join(arrays) or 'nothing'})")
            continue
        value = arrays[key]
        if not isinstance(value, np.ndarray) or value.shape != (steps, size) or value.dtype.kind not in "fiu":
            problems.append(f"{key}: expected numbers [{steps}, {size}], got {_described(value)}")
        elif not np.isfinite(value).all():
            problems.append(f"{key}: has {int((~np.isfinite(value)).sum())} entries that are not finite")
        else:
            found[key] = value if value.dtype in (np.float32, np.float64) else value.astype(np.float64)
    if problems:
        raise SpecMismatch("\n".join([f"{what}:", *(f"  {problem}" for problem in problems)]))
    return found


def _each(arrays: Arrays, functions: Mapping[str, Callable[..., np.ndarray]], group: str) -> dict[str, np.ndarray]:
    """Each key through its function; raises SpecMismatch naming the key whose result is not finite."""
    found = {}
    for key, function in functions.items():
        found[key] = _named(f"{group}.{key}", function, arrays[key])
        if not np.isfinite(found[key]).all():
            raise SpecMismatch(f"{group}.{key}: its values are too far from its statistics to be normalised")
    return found


def _named(name: str, function: Callable[..., np.ndarray], *arguments: object) -> np.ndarray:
    """Calls the function, and begins its SpecMismatch with a name."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return function(*arguments)
    except SpecMismatch as problem:
        raise SpecMismatch(f"{name}: {problem}") from None


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name}{list(value.shape)}"
    return type(value).__name__


def size_problems(codec: KeyCodec) -> list[str]:
    """Keys and steps that do not fit into the padded sizes."""
    sizes = [
        ("encoded states", sum(scaler.width for scaler in codec.state_scalers.values()), codec.max_state_dim),
        ("encoded actions", sum(scaler.width for scaler in codec.action_scalers.values()), codec.max_action_dim),
        ("action chunks (in steps)", codec.horizon, codec.max_horizon),
    ]
    return [
        f"{codec.tag}: its {what} have a length of {size}; the model's is {most}"
        for what, size, most in sizes
        if size > most
    ]
