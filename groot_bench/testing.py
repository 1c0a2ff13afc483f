"""Public fakes, and `check_suite`: the contract that every adapter must pass."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from groot_bench.episode import Episode, Outcome
from groot_bench.errors import SpecMismatch, WorkerError
from groot_bench.evaluation import evaluate, without_cameras
from groot_bench.layout import Layout
from groot_bench.noise import uniform
from groot_bench.policies.zero import ZeroPolicy
from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.protocol import MOST, Protocol
from groot_bench.ready import require_ready
from groot_bench.record import Run
from groot_bench.slots import make_station, worker_settings
from groot_bench.spec import LANGUAGE, ArraySpec
from groot_bench.suite import Suite, Task
from groot_bench.workers import Worker


def fake_suite(tasks: Sequence[str] = ("Count",), *, cap: int = 20, chunk: int = 4, **settings: object) -> Suite:
    """A suite without a simulator, whose environment can be told to fail; see `groot_envs.fake.env.FakeEnv`.

    Args:
        tasks: names. The task "Import" cannot be built.
        cap: most control steps of an episode.
        chunk: actions per query.
        settings: of the environment.
    """
    side = settings.get("frame", 8)
    frame = ArraySpec((1, side, side, 3), "uint8", "rgb", low=0, high=255)  # type: ignore[arg-type]
    observation = {
        "state.count": ArraySpec((1, 1)),
        "state.noise": ArraySpec((1, 2), low=-2, high=4),
        "video.front": frame,
        "video.wrist": frame,
        f"{LANGUAGE}task": ArraySpec((), "str", "text"),
    }
    action = {"action.move": ArraySpec((2,), low=-1, high=1)}
    protocol = Protocol("fake/v1", "sampled", dict.fromkeys(tasks, cap), chunk, 5, 20.0)
    return Suite(
        name="fake",
        version=1,
        tasks={name: Task(name, observation, action) for name in tasks},
        protocols={protocol.name: protocol},
        env="groot_envs.fake.env:make_env",
        settings=settings,
    )


class FakePolicy(Policy):
    """Computes its actions from what it reads, and remembers every call.

    Args:
        rule: (observation, queries) -> float (B, H, D) that is spread over the action arrays; default: draws keyed by
            the query, shifted by the state that it read.
        horizon: actions in a chunk.
        batch_size: see `PolicyInfo`.

    Attributes:
        calls: ("reset" | "act" | "forget", episodes or queries), in order.
        shapes: the batch shapes that it was given.
    """

    def __init__(
        self,
        rule: Callable[[Observation, Sequence[Query]], np.ndarray] | None = None,
        horizon: int = 8,
        batch_size: int | None = 4,
    ) -> None:
        self.info = PolicyInfo("fake", seed=0, batch_size=batch_size)
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        self.shapes: list[dict[str, tuple[int, ...]]] = []
        self._rule, self._horizon = rule, horizon

    def interface(self, task: Task) -> Interface:
        self._action = task.action
        return Interface(task.observation, task.action, self._horizon)

    def reset(self, episodes: Sequence[Episode]) -> None:
        self.calls.append(("reset", tuple(episodes)))

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        self.calls.append(("act", tuple(queries)))
        self.shapes.append({name: (len(value), *np.shape(value)[1:]) for name, value in observation.items()})
        rule = self._rule or self._default
        numbers = np.asarray(rule(observation, queries), np.float32)
        sizes = [int(spec.shape[0] or 0) for spec in self._action.values()]
        parts = np.split(numbers, np.cumsum(sizes)[:-1], axis=-1)
        return dict(zip(self._action, map(np.ascontiguousarray, parts), strict=True))

    def forget(self, episodes: Sequence[Episode]) -> None:
        self.calls.append(("forget", tuple(episodes)))

    def _default(self, observation: Observation, queries: Sequence[Query]) -> np.ndarray:
        size = sum(int(spec.shape[0] or 0) for spec in self._action.values())
        drawn = np.stack([uniform(0, query.episode, query.index, (self._horizon, size)) for query in queries])
        states = [np.asarray(value)[: len(queries)] for name, value in observation.items() if name.startswith("state.")]
        shift = sum(state.reshape(len(queries), -1).sum(axis=1) for state in states)
        return 2.0 * drawn - 1.0 + 1e-3 * np.asarray(shift)[:, None, None]


class CheckFailed(AssertionError):
    """A suite broke its contract; the message lists every law that did not hold."""


@dataclass(frozen=True)
class Experience:
    """What one episode gave: what is known at its start, and every observation after each step of a fixed chunk."""

    instruction: str
    scene_hash: str
    first: Mapping[str, np.ndarray]
    later: Mapping[str, np.ndarray]
    success: str

    def differences(self, other: Experience) -> list[str]:
        """The names of what is not bit-equal."""
        found = [
            name for name in ("instruction", "scene_hash", "success") if getattr(self, name) != getattr(other, name)
        ]
        for when in ("first", "later"):
            mine, theirs = getattr(self, when), getattr(other, when)
            found += [f"{when} {name}" for name in mine if mine[name].tobytes() != theirs[name].tobytes()]
        return found


class Bench:
    """One environment process of one task, driven by hand."""

    def __init__(self, suite: Suite, task: Task, protocol: Protocol, steps: int, python: str | None) -> None:
        interface = Interface({**task.observation, **task.privileged}, task.action, steps)
        station = make_station(suite, task, protocol, interface, {})
        self._task, self._steps = task, steps
        self._spec = {name: spec for name, spec in interface.observation.items() if not spec.is_text}
        self._worker = Worker(worker_settings(suite, python, audit=True))
        try:
            self._worker.wait()
            layout = Layout.of(interface.observation, self._spec, task.action, steps)
            self._worker.send_make(task.name, station.settings, layout)
            self._worker.wait()
        except WorkerError:
            self._worker.kill()
            raise

    def live(self, episode: Episode, policy_seed: int = 0) -> Experience:
        """Resets to `episode` and executes one chunk of random actions."""
        actions = {}
        for name, spec in self._task.action.items():
            low, high = (-1.0 if spec.low is None else spec.low), (1.0 if spec.high is None else spec.high)
            drawn = uniform(policy_seed, episode, 0, (self._steps, *(size or 0 for size in spec.shape)))
            actions[name] = low + (high - low) * drawn
        return self.drive(episode, actions)

    def drive(self, episode: Episode, actions: Mapping[str, np.ndarray]) -> Experience:
        """Resets to `episode` and executes one chunk, name -> (steps, D), or (D,) for the same one at each step."""
        worker = self._worker
        worker.send("reset", seed=episode.seed, index=episode.index, observe=True)
        reply = worker.wait()
        first = {name: array.copy() for name, array in worker.observed.items()}
        for name in self._task.action:
            worker.actions[name][:] = actions[name]
        worker.send("run", steps=self._steps, stop_on_success=False, observe=True)
        success = str(worker.wait()["success"])
        later = {name: array[: len(success)].copy() for name, array in worker.traced.items()}
        return Experience(str(reply["instruction"]), str(reply["scene_hash"]), first, later, success)

    def check_specs(self, experience: Experience) -> list[str]:
        """What breaks the declared specs: numbers that are not finite, or beyond their bounds."""
        found = []
        for name, spec in self._spec.items():
            for array in (experience.first[name], *experience.later[name]):
                try:
                    spec.check(name, array)
                except SpecMismatch as mismatch:
                    found.append(str(mismatch))
                    break
                low, high = float(array.min()), float(array.max())
                if (spec.low is not None and low < spec.low) or (spec.high is not None and high > spec.high):
                    found.append(f"{name}: {low:g} to {high:g} is outside its bounds {spec.low} to {spec.high}")
                    break
        return found

    def close(self) -> None:
        self._worker.close()


def check_suite(
    suite: Suite,
    tasks: Sequence[str] | None = None,
    *,
    protocol: str | None = None,
    episodes: int = 3,
    steps: int = 12,
    cameras: bool = True,
    python: str | None = None,
    unpinned: bool = False,
) -> None:
    """Runs the laws of the Suite contract on real environments.

    The declared specs hold at reset and after each step; the same episode gives the same scene hash and bit-equal
    observations in a fresh process, beside a process that runs another one, and after other episodes; different seeds
    differ; arrays are fresh copies; step caps are honored; the expert succeeds at least once, the zero policy never.

    Args:
        tasks: which; None for all.
        episodes: of the zero policy and the expert on each task.
        steps: random control steps that are compared.
        cameras: whether frames are rendered and compared, too.
        python: the interpreter of the environments.
        unpinned: whether other versions of its packages than the pinned ones will do.

    Raises:
        SuiteNotReady: a package is missing, or has another version than the pinned one.
        CheckFailed: with every law that did not hold.
    """
    require_ready(suite, python or suite.python or sys.executable, unpinned)
    suite = replace(suite, pins={})  # known by now; nothing of these runs is kept
    rules = suite.protocol(protocol)
    failures = []
    for task in suite.select(tasks):
        seen = task if cameras else without_cameras(task)
        problems = _check_repeats(suite, seen, rules, steps, python)
        problems += _check_policies(suite, task.name, rules, min(episodes, _starts(task, rules)), python)
        failures += [f"{task.name}: {problem}" for problem in problems]
    if failures:
        raise CheckFailed(
            "\n".join([f"suite {suite.name!r} breaks its contract:", *(f"  {line}" for line in failures)])
        )


def _check_repeats(suite: Suite, task: Task, rules: Protocol, steps: int, python: str | None) -> list[str]:
    one, two = _two_episodes(suite, task, rules)
    benches: list[Bench] = []
    try:
        benches.append(Bench(suite, task, rules, steps, python))
        original = benches[0].live(one)
        found = benches[0].check_specs(original)
        other = benches[0].live(two, policy_seed=1)
        again = {"after another episode": benches[0].live(one)}
        benches.append(Bench(suite, task, rules, steps, python))
        again["in a fresh process"] = benches[1].live(one)
        with ThreadPoolExecutor(1) as beside:
            neighbor = beside.submit(benches[1].live, two, 2)
            again["beside a process that runs another one"] = benches[0].live(one)
            neighbor.result()
    except WorkerError as error:
        return [str(error)]
    finally:
        for bench in benches:
            bench.close()
    for how, experience in again.items():
        found += [f"the same episode {how} differs in {name}" for name in original.differences(experience)]
    if original.scene_hash == other.scene_hash and _starts(task, rules) > 1:
        found.append("two episodes with different seeds have the same scene hash")
    if not original.instruction.strip() and any(spec.is_text for spec in task.observation.values()):
        found.append("the instruction is empty")
    return found


def _starts(task: Task, rules: Protocol) -> int:
    """How many episodes of the task the protocol can have."""
    return task.starts if task.starts is not None and rules.start_states == "fixed" else MOST


def _two_episodes(suite: Suite, task: Task, rules: Protocol) -> tuple[Episode, Episode]:
    """The first two; where there is but one start state, that of two runs, whose scenes may be equal."""
    if _starts(task, rules) > 1:
        one, two = suite.episodes(rules.with_changes(episodes_per_task=2), [task], seed=0)
        return one, two
    (one,), (two,) = (suite.episodes(rules.with_changes(episodes_per_task=1), [task], seed) for seed in (0, 1))
    return one, two


def _check_policies(suite: Suite, task: str, rules: Protocol, episodes: int, python: str | None) -> list[str]:
    found = []
    zero = _run(suite, task, rules, ZeroPolicy(rules.actions_per_query), episodes, python)
    for record in zero.records:
        if record.outcome is Outcome.ERROR:
            found.append(f"the zero policy ended in an error: {record.error}")
        elif record.outcome is Outcome.SUCCESS:
            found.append(f"the zero policy succeeded in episode {record.episode.index}")
        if record.steps > rules.cap(task):
            found.append(f"an episode had {record.steps} steps; the cap is {rules.cap(task)}")
    expert = suite.expert() if suite.expert is not None else None
    try:
        if expert is None or not expert.interface(suite.tasks[task]):
            return found
    except SpecMismatch:  # the expert says that it cannot do this task
        return found
    records = _run(suite, task, rules, expert, episodes, python).records
    found += [f"the expert ended in an error: {record.error}" for record in records if record.error]
    if not any(record.outcome is Outcome.SUCCESS for record in records):
        found.append(f"the expert succeeded in none of {episodes} episodes")
    return found


def _run(suite: Suite, task: str, rules: Protocol, policy: Policy, episodes: int, python: str | None) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        return evaluate(
            policy,
            suite=suite,
            tasks=[task],
            protocol=rules.name,
            episodes=episodes,
            cameras="none",
            slots=1,
            out=Path(folder) / "run",
            python=python,
        )
