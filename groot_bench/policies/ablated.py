"""A policy from which something is taken: what it sees, feels or is told, or its speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groot_bench.batch import check_action
from groot_bench.episode import Episode
from groot_bench.errors import SpecMismatch, UnknownName, UsageError
from groot_bench.policies.ablations import (
    EVERY,
    PIXELS,
    Ablation,
    BlankCamera,
    GivenInstruction,
    Latency,
    SwappedCameras,
    SwappedInstruction,
    ZeroState,
    parse_ablation,
    require_apart,
)
from groot_bench.policies.delayed import Delay
from groot_bench.policies.history import change_rows
from groot_bench.policies.instructions import InstructionTable
from groot_bench.policies.wrapped import WrappedPolicy
from groot_bench.policy import Action, Interface, Observation, Policy, Query
from groot_bench.spec import STATE, VIDEO, ArraySpec
from groot_bench.suite import Task


@dataclass(frozen=True)
class Plan:
    """What becomes of an observation.

    Attributes:
        fills: key -> the value that all of its numbers get.
        sources: key that the policy reads -> key whose array it gets.
    """

    fills: Mapping[str, int]
    sources: Mapping[str, str]


class AblatedPolicy(WrappedPolicy):
    """Gives a policy less than there is.

    What is blanked is still asked of the suite (and rendered), so that an ablated run differs from its baseline in
    nothing but what the policy gets. Swapping a camera that the policy reads with one that it does not read asks the
    suite for the other one instead. Wrapped again, the outermost wrapper changes the observation first.

    Args:
        policy: the inner one.
        ablations: values or text forms of `groot_bench.policies.ablations`; their order has no meaning.
        instructions: task -> what it says, for `SwappedInstruction`; see `groot_bench.policies.instructions`.

    Raises:
        UsageError: two ablations change the same thing, or instructions are lacking or given without need.
    """

    def __init__(
        self,
        policy: Policy,
        ablations: Sequence[Ablation | str],
        *,
        instructions: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        listed = [ablations] if isinstance(ablations, str) else ablations
        self.ablations = require_apart(parse_ablation(one) if isinstance(one, str) else one for one in listed)
        swapped = any(isinstance(ablation, SwappedInstruction) for ablation in self.ablations)
        if swapped != (instructions is not None):
            raise UsageError(
                "instruction=swap and the instructions of the suite's tasks belong together; read_instructions and "
                "recorded_instructions in groot_bench.policies.instructions make them"
            )
        self._table = None if instructions is None else InstructionTable(instructions)
        latency = next((ablation for ablation in self.ablations if isinstance(ablation, Latency)), None)
        self._delay = None if latency is None else Delay(latency.steps, latency.hold)
        self._told = next(
            (ablation.text for ablation in self.ablations if isinstance(ablation, GivenInstruction)), None
        )
        self._plans: dict[str, Plan] = {}
        self._constants: dict[tuple[tuple[int, ...], str, int], np.ndarray] = {}
        settings: dict[str, Any] = {"ablations": [str(ablation) for ablation in self.ablations]}
        if self._table is not None:
            settings["instructions"] = self._table.to_json()
        super().__init__(policy, "ablated", settings)

    def changed(self, interface: Interface, task: Task) -> Interface:
        """The inner interface, with the cameras that are swapped in.

        Raises:
            UnknownName: no such camera or part of the state; names what exists.
            SpecMismatch: an ablation would change nothing, or the pictures of two swapped cameras differ in kind.
            UsageError: no other task says anything else.
        """
        fills: dict[str, int] = {}
        sources: dict[str, str] = {}
        for ablation in self.ablations:
            if isinstance(ablation, BlankCamera):
                keys = self._read(ablation.keys[0], "camera", interface, task)
                fills.update(dict.fromkeys(keys, PIXELS[ablation.color]))
                _require_pixels(interface, keys, ablation)
            elif isinstance(ablation, ZeroState):
                fills.update(dict.fromkeys(self._read(ablation.keys[0], "part of the state", interface, task), 0))
            elif isinstance(ablation, SwappedCameras):
                sources.update(self._swap(ablation, interface, task))
            elif not isinstance(ablation, Latency):
                self._require_language(ablation, interface, task)
        self._plans[task.name] = Plan(fills, sources)
        observation = {sources.get(name, name): spec for name, spec in interface.observation.items()}
        return Interface(observation, interface.action, interface.horizon)

    def _read(self, key: str, kind: str, interface: Interface, task: Task) -> list[str]:
        """The keys of the inner policy's observation that `key` means, "*" included."""
        prefix = VIDEO if key.startswith(VIDEO) else STATE
        known = {name.removeprefix(prefix): name for name in interface.observation if name.startswith(prefix)}
        where = f"{kind} that policy {self.policy.info.name!r} reads on task {task.name!r}"
        name = key.removeprefix(prefix)
        if name == EVERY and known:
            return list(known.values())
        if name == EVERY:
            raise SpecMismatch(f"there is no {where}, so that taking it away changes nothing; leave the ablation out")
        if name not in known:
            raise UnknownName(where, name, known)
        return [known[name]]

    def _swap(self, ablation: SwappedCameras, interface: Interface, task: Task) -> dict[str, str]:
        """Key that the policy reads -> the other camera's, for each of the two that it reads."""
        one, other = ablation.keys
        for key in (one, other):
            if key not in task.cameras:
                cameras = [name.removeprefix(VIDEO) for name in task.cameras]
                raise UnknownName(f"camera of task {task.name!r}", key.removeprefix(VIDEO), cameras)
        sources = {mine: its for mine, its in ((one, other), (other, one)) if mine in interface.observation}
        if not sources:
            self._read(one, "camera", interface, task)  # raises: it reads neither
        for mine, its in sources.items():
            found = interface.observation[mine].differences(task.observation[its])
            if found:
                raise SpecMismatch(f"{ablation}: {its} cannot be shown as {mine}: {'; '.join(found)}")
        return sources

    def _require_language(self, ablation: Ablation, interface: Interface, task: Task) -> None:
        if not any(spec.is_text for spec in interface.observation.values()):
            raise SpecMismatch(
                f"{ablation} changes nothing: policy {self.policy.info.name!r} reads no instruction on task "
                f"{task.name!r}; leave the ablation out"
            )
        if self._table is not None:
            self._table.require_another(task.name)

    def reset(self, episodes: Sequence[Episode]) -> None:
        if self._delay is not None:
            self._delay.reset(episodes)
        super().reset(episodes)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        interface = self.inner_interface(queries)
        action = self.policy.act(self._observed(observation, queries, interface), queries)
        if self._delay is None:
            return action
        check_action(action, interface, len(queries), self.info.batch_size, self.policy.info.name)
        return change_rows(action, queries, self._delay.chunk)

    def forget(self, episodes: Sequence[Episode]) -> None:
        if self._delay is not None:
            self._delay.forget(episodes)
        super().forget(episodes)

    def _observed(self, given: Observation, queries: Sequence[Query], interface: Interface) -> Observation:
        """What the inner policy gets, padding rows included; arrays are lent on, or constant."""
        plan = self._plans[queries[0].episode.task]
        return {
            name: self._value(spec, given[plan.sources.get(name, name)], plan.fills.get(name), queries)
            for name, spec in interface.observation.items()
        }

    def _value(
        self, spec: ArraySpec, value: np.ndarray | Sequence[str], fill: int | None, queries: Sequence[Query]
    ) -> np.ndarray | Sequence[str]:
        if spec.is_text:
            return self._instructions([str(text) for text in value], queries)
        return value if fill is None else self._constant(np.asarray(value), fill)

    def _instructions(self, texts: list[str], queries: Sequence[Query]) -> list[str]:
        """What the rows are told instead; a padding row is told what row 0 is, of which it is a copy."""
        if self._told is not None:
            return [self._told] * len(texts)
        if self._table is None:
            return texts
        drawn = [self._table.draw(query.episode, text) for query, text in zip(queries, texts, strict=False)]
        return [*drawn, *[drawn[0]] * (len(texts) - len(drawn))]

    def _constant(self, like: np.ndarray, fill: int) -> np.ndarray:
        """An array of that shape and dtype full of one number; read-only, and kept for the next batch."""
        key = (like.shape[1:], like.dtype.str, fill)
        array = self._constants.get(key)
        if array is None or len(array) < len(like):
            array = np.full(like.shape, fill, like.dtype)
            array.flags.writeable = False
            self._constants[key] = array
        return array[: len(like)]


def _require_pixels(interface: Interface, keys: Sequence[str], ablation: BlankCamera) -> None:
    for key in keys:
        if interface.observation[key].dtype != "uint8":
            raise SpecMismatch(f"{ablation}: {key} is {interface.observation[key].dtype}, not pixels of uint8")
