"""Evaluate a policy: from names to a run folder. The command line and a training loop call the same function."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groot_bench import graphics, pins
from groot_bench.episode import Episode
from groot_bench.errors import UsageError
from groot_bench.listener import Listener
from groot_bench.models.options import ModelOptions
from groot_bench.policies.ablated import AblatedPolicy
from groot_bench.policies.ablations import Ablation, SwappedInstruction, parse_ablations
from groot_bench.policies.chunked import ChunkedPolicy, Chunking, parse_chunking
from groot_bench.policies.instructions import read_instructions
from groot_bench.policies.named import make_policy
from groot_bench.policy import Policy, require_fit
from groot_bench.provenance import fingerprint, invocation, policy_entry, protocol_entry, to_plain, version
from groot_bench.ready import require_ready
from groot_bench.record import Run, RunWriter, listed_keys, new_manifest, recorded_already
from groot_bench.rollout import Job, Rollout
from groot_bench.slots import default_slots, make_station, worker_settings
from groot_bench.spec import VIDEO
from groot_bench.suite import Suite, Task, load_suite
from groot_bench.video import VideoChoice
from groot_bench.workers import WorkerSettings

CAMERAS = ("all", "none")


@dataclass(frozen=True)
class Settings:
    """How to evaluate. What is marked (*) decides what is measured and is compared when a run is resumed.

    Attributes:
        suite: (*) an installed suite's name, a Suite, or the path of a key map (.toml) of a gymnasium environment.
        tasks: (*) names; None for all.
        protocol: (*) its name; None for the suite's first.
        episodes: (*) for each task; None for the protocol's number.
        first_episode: (*) the index of each task's first episode. An episode's seed depends on its index and not on the
            list it stands in, so that a later run goes on where another one ended.
        actions_per_query, max_steps: (*) departures from the protocol, shown beside every number.
        seed: (*) of the run; it decides the episodes' seeds.
        policy_seed: (*) of a policy that is given by name.
        replay: (*) the run folder whose actions the policy "replay" plays.
        ckpt, model: (*) the checkpoint of the policy "groot", and how to run it.
        retarget: (*) the robot whose joints (or deltas) are made of the policy's poses, as text; see docs/retarget.md.
        ablation: (*) what is taken from the policy, as text; see docs/wrappers.md.
        chunking: (*) how its chunks are executed, as text; see docs/wrappers.md.
        cameras: (*) "all", or "none": a state-only run, in which no policy sees a frame.
        slots: environments at once; None for one a core.
        shard: (*) (i, n), 1 <= i <= n: run every n-th episode, beginning with the i-th.
        out: the run's folder; None for one under `results/` whose name follows from everything marked (*).
        video: "all", "failed" or "first:N"; None for no videos.
        log_steps: whether to keep states and actions of every step, as Parquet.
        python: the interpreter of the environments; None for the suite's own, or this one. The versions of the suite's
            packages in it are compared, too.
        unpinned: (*) whether other versions of the suite's packages than the pinned ones will do. The run is then
            marked wherever its numbers are shown, and is another experiment than a pinned one; see `pins`.
        timeout: the longest that one command to an environment may take [s].
        retry_errors: whether episodes that are recorded as errors run again.
        progress: whether to show a progress bar on stderr.
        command: the command line to note in the manifest.
    """

    suite: str | Suite
    tasks: Sequence[str] | None = None
    protocol: str | None = None
    episodes: int | None = None
    first_episode: int = 0
    actions_per_query: int | None = None
    max_steps: int | None = None
    seed: int = 0
    policy_seed: int = 0
    replay: str | Path | None = None
    ckpt: str | Path | None = None
    model: ModelOptions = field(default_factory=ModelOptions)
    retarget: str | None = None
    ablation: Sequence[str] = ()
    chunking: str | None = None
    cameras: str = "all"
    slots: int | None = None
    shard: tuple[int, int] = (1, 1)
    out: str | Path | None = None
    video: str | None = None
    log_steps: bool = False
    python: str | None = None
    unpinned: bool = False
    timeout: float = 300.0
    retry_errors: bool = False
    progress: bool = False
    command: Sequence[str] | None = None

    def __post_init__(self) -> None:
        i, n = self.shard
        if not 1 <= i <= n:
            raise UsageError(f"shard {i}/{n} is impossible: shards are 1/{n} to {n}/{n}")
        if self.cameras not in CAMERAS:
            raise UsageError(f"cameras must be one of {', '.join(CAMERAS)}, got {self.cameras!r}")
        if self.slots is not None and self.slots < 1:
            raise UsageError(f"slots must be 1 or more, got {self.slots}")
        if not self.timeout > 0:
            raise UsageError(f"timeout must be more than 0 seconds, got {self.timeout:g}")
        for name in ("seed", "policy_seed", "first_episode"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise UsageError(f"{name} must be a whole number, 0 or more, got {value!r}")
        if self.video is not None:
            if self.cameras == "none":
                raise UsageError("--video needs cameras; leave --cameras none away")
            VideoChoice.parse(self.video)


def evaluate(policy: Policy | str, **settings: Any) -> Run:
    """Runs a fixed list of episodes of `policy` and returns the run, as `groot-bench eval` does.

    The same call again finds its folder complete and returns at once; killed half-way, it runs what is missing.

    Args:
        policy: a Policy, or the name of a built-in one ("zero", "random", "expert", "replay", "groot").
        settings: the fields of `Settings`; `suite` is required.

    Raises:
        GrootBenchError: see `groot_bench.errors`.
    """
    return Evaluation(policy, Settings(**settings)).run()


class Evaluation:
    """One evaluation, checked as a whole before anything runs or is written.

    Attributes:
        suite, protocol, tasks, policy: what was asked for.
        listed: every episode, before sharding.
        folder: where the run lies.
        manifest: what `run.json` will say.
    """

    def __init__(self, policy: Policy | str, settings: Settings) -> None:
        self.settings = settings
        self.suite = find_suite(settings.suite, settings.python)
        self.protocol = self.suite.protocol(settings.protocol).with_changes(
            episodes_per_task=settings.episodes,
            actions_per_query=settings.actions_per_query,
            max_steps=settings.max_steps,
        )
        self._full_tasks = self.suite.select(settings.tasks)
        blind = settings.cameras == "none"
        self.tasks = tuple(without_cameras(task) if blind else task for task in self._full_tasks)
        self._python = settings.python or self.suite.python or sys.executable
        self._versions = require_ready(self.suite, self._python, settings.unpinned)
        chunking = None if settings.chunking is None else parse_chunking(settings.chunking)
        ablations = parse_ablations(settings.ablation)
        self._made_here = not isinstance(policy, Policy)
        self.policy = policy if isinstance(policy, Policy) else self._named(policy)
        try:
            self._prepare(chunking, ablations)
        except BaseException:
            self.close()
            raise

    def _prepare(self, chunking: Chunking | None, ablations: Sequence[Ablation]) -> None:
        """Wraps the policy, holds it against tasks and machine, and works out what the manifest says."""
        settings = self.settings
        self.policy = self._wrapped(self.policy, chunking, ablations)
        for task in self.tasks:
            self.policy.interface(task)  # of all tasks, before `info` may load gigabytes
        self._interfaces = {task.name: require_fit(self.policy, task, self.protocol) for task in self.tasks}
        self._graphics = self._require_graphics()
        self._slots = settings.slots or default_slots()
        self._require_starts()
        self.listed = self.suite.episodes(self.protocol, self.tasks, settings.seed, settings.first_episode)
        experiment = self._experiment()
        self.folder = Path(settings.out) if settings.out is not None else self._default_folder(experiment)
        noted = invocation(settings.command, self._slots, self._python, self._versions)
        self.manifest = new_manifest(experiment, self.listed, settings.shard, noted)

    def announce(self) -> str:
        """What `run` would do, in a sentence; runs and writes nothing.

        Raises:
            ManifestMismatch: the folder holds another experiment.
            RecordError: it cannot be read.
        """
        done = recorded_already(self.folder, self.manifest)
        return self._announcement(done, len(listed_keys(self.manifest)) - done, 0)

    def close(self) -> None:
        """Closes a policy that was made here; `run` does it, too."""
        if self._made_here:
            self.policy.close()

    def run(self, say: Callable[[str], None] | None = None) -> Run:
        """Runs what is missing.

        Args:
            say: told in a sentence what is about to happen.
        """
        stations = {}
        listeners, traces = self._listeners()
        for task, full in zip(self.tasks, self._full_tasks, strict=True):
            wanted = dict.fromkeys(name for listener in traces for name in listener.traces(full))
            stations[task.name] = make_station(self.suite, full, self.protocol, self._interfaces[task.name], wanted)
        writer = RunWriter(self.folder, self.manifest)
        try:
            again = writer.drop_errors() if self.settings.retry_errors else 0
            writer.begin()
            episodes = self._missing(writer)
            if say:
                say(self._announcement(len(writer.done), len(episodes), again))
            if episodes:
                job = Job(self.protocol, stations, episodes, self._slots, self._worker_settings())
                for listener in listeners:
                    listener.open(self.folder, [record.outcome for record in writer.done.values()], len(episodes))
                Rollout(job, self.policy, writer.append, listeners).run()
        finally:
            for listener in listeners:
                listener.close()
            writer.close()
            self.close()
        return Run.load(self.folder)

    def _named(self, name: str) -> Policy:
        return make_policy(
            name,
            self.suite,
            self.protocol,
            seed=self.settings.seed,
            policy_seed=self.settings.policy_seed,
            replay=self.settings.replay,
            ckpt=self.settings.ckpt,
            model=self.settings.model,
        )

    def _wrapped(self, policy: Policy, chunking: Chunking | None, ablations: Sequence[Ablation]) -> Policy:
        """The policy, chunked and ablated; the ablations are outermost.

        With retargeting they are innermost: what the policy sees is taken away, not the robot's own sense of its
        joints, and chunks are averaged as joints, which unlike rotations have averages.
        """
        if self.settings.retarget is not None:
            return self._chunked(self._retargeted(self._ablated(policy, ablations)), chunking)
        return self._ablated(self._chunked(policy, chunking), ablations)

    def _retargeted(self, policy: Policy) -> Policy:
        from groot_bench.policies.retargeted import RetargetedPolicy

        assert self.settings.retarget is not None
        if self.settings.replay is not None:
            raise UsageError("a recorded run holds the robot's own actions; replay it without --retarget")
        return RetargetedPolicy(policy, self.settings.retarget, self.protocol.actions_per_query)

    def _chunked(self, policy: Policy, chunking: Chunking | None) -> Policy:
        return policy if chunking is None else ChunkedPolicy(policy, chunking.horizon, chunking.ensemble)

    def _ablated(self, policy: Policy, ablations: Sequence[Ablation]) -> Policy:
        if not ablations:
            return policy
        texts = None
        if any(isinstance(ablation, SwappedInstruction) for ablation in ablations):
            # Of the whole suite: an episode may not depend on which tasks were selected.
            texts = read_instructions(self.suite, self.protocol, python=self._python)
        return AblatedPolicy(policy, ablations, instructions=texts)

    def _experiment(self) -> dict[str, Any]:
        """Everything that decides what is measured; runs in which any of it differs are other experiments."""
        suite = {
            "name": self.suite.name,
            "version": self.suite.version,
            "packages": {name: self._versions[name] for name in self.suite.packages},
            "settings": dict(self.suite.settings),
        }
        reads = {name for interface in self._interfaces.values() for name in interface.observation}
        seen = any(name.startswith(VIDEO) for name in reads)
        experiment = {
            "groot_bench": version(),
            "suite": suite,
            "protocol": protocol_entry(self.protocol),
            "policy": policy_entry(self.policy.info),
            "tasks": [task.name for task in self.tasks],
            "seed": self.settings.seed,
            "reads": sorted(reads),
            "graphics": self._graphics if seen else None,
            "retarget": self.policy.info.retarget,
        }
        if self.settings.first_episode:  # absent otherwise, as in the runs of earlier versions
            experiment["first_episode"] = self.settings.first_episode
        broken = pins.broken_pins(self.suite.pins, self._versions)
        if broken:
            experiment[pins.FIELD] = broken
        return dict(to_plain(experiment))

    def _default_folder(self, experiment: Mapping[str, Any]) -> Path:
        parts = [self.suite.name, self.policy.info.name, fingerprint(experiment, self.settings.shard)]
        return Path("results") / "-".join(
            "".join(c if c.isalnum() or c in "._" else "_" for c in part) for part in parts
        )

    def _require_graphics(self) -> str | None:
        """The backend that frames are rendered with, its library present; None when nothing is rendered."""
        reads = [name for interface in self._interfaces.values() for name in interface.observation]
        filmed = self.settings.video is not None and any(task.cameras for task in self._full_tasks)
        if not filmed and not any(name.startswith(VIDEO) for name in reads):
            return None
        name = graphics.backend(self.suite.variables)
        if name is not None:
            graphics.require(name)
        return name

    def _require_starts(self) -> None:
        """Raises UsageError where episodes are asked for whose fixed start states do not exist."""
        end = self.settings.first_episode + self.protocol.episodes_per_task
        for task in self.tasks if self.protocol.start_states == "fixed" else ():
            if self.suite.require_starts is not None:
                self.suite.require_starts(self.protocol, task.name, end)
            if task.starts is not None and end > task.starts:
                raise UsageError(
                    f"protocol {self.protocol.name!r} starts episode i from fixed initial state i, and task "
                    f"{task.name!r} has {task.starts} of them; episodes {self.settings.first_episode} to {end - 1} "
                    "were asked for: use fewer --episodes, or a lower --first-episode"
                )

    def _missing(self, writer: RunWriter) -> list[Episode]:
        by_key = {episode.key: episode for episode in self.listed}
        return [by_key[key] for key in writer.missing]

    def _listeners(self) -> tuple[list[Listener], list[Listener]]:
        """All listeners, and those of them that trace steps."""
        from groot_bench.progress import ProgressBar
        from groot_bench.steplog import StepLog
        from groot_bench.video import VideoRecorder

        tracing: list[Listener] = []
        if self.settings.video is not None:
            tracing.append(VideoRecorder(VideoChoice.parse(self.settings.video), self.protocol.control_hz))
        if self.settings.log_steps:
            tracing.append(StepLog())
        bars: list[Listener] = [ProgressBar()] if self.settings.progress else []
        return tracing + bars, tracing

    def _worker_settings(self) -> WorkerSettings:
        return worker_settings(self.suite, self._python, timeout=self.settings.timeout)

    def _announcement(self, done: int, missing: int, again: int) -> str:
        policy = self.policy.info.name
        text = f"{self.protocol.label}: {missing} episodes of policy {policy!r} in {self.folder}"
        if done and missing:
            text += f" ({done} are recorded already)"
        if again:
            text += f"; {again} errors run again"
        text = text if missing else f"{self.folder} is complete: {done} episodes are recorded"
        differs = pins.unpinned(self.manifest["experiment"])
        return f"{text}\nunpinned: {differs}; {pins.MEANING}" if differs else text


def find_suite(suite: str | Suite, python: str | None = None) -> Suite:
    """The suite of that name, or of that key map (.toml), whose environments `python` runs."""
    if isinstance(suite, Suite):
        return suite
    if suite.endswith(".toml"):
        from groot_bench.keymap import load_keymap

        return load_keymap(Path(suite), python)
    return load_suite(suite)


def without_cameras(task: Task) -> Task:
    """The task as it is with `--cameras none`."""
    blind = {name: spec for name, spec in task.observation.items() if not name.startswith(VIDEO)}
    return dataclasses.replace(task, observation=blind)
