"""Every task of every installed suite as a gymnasium environment.

    import gymnasium
    import groot_bench.gym  # registers groot_bench/<suite>/<Task>-v<version of the suite>

    env = gymnasium.make("groot_bench/robosuite/Lift-v1")

`gymnasium.make("groot_bench.gym:groot_bench/robosuite/Lift-v1")` needs no import before it. How-to: docs/gymnasium.md.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

try:
    import gymnasium
    from gymnasium import spaces
    from gymnasium.envs import registration
except ModuleNotFoundError as missing:
    if missing.name != "gymnasium":
        raise
    raise ModuleNotFoundError(
        "groot_bench.gym needs gymnasium: pip install 'gymnasium>=1.0'", name="gymnasium"
    ) from None

from groot_bench import graphics
from groot_bench.episode import Episode, make_episode
from groot_bench.errors import SpecMismatch, UnknownName, UsageError
from groot_bench.evaluation import CAMERAS, without_cameras
from groot_bench.policy import Interface
from groot_bench.protocol import Protocol
from groot_bench.ready import require_ready
from groot_bench.slots import make_station, worker_settings
from groot_bench.spec import ArraySpec, check_arrays
from groot_bench.suite import Suite, load_suite, suite_names
from groot_bench.workers import Worker

NAMESPACE = "groot_bench"
RENDER_MODES = ("rgb_array",)
OPTIONS = ("index", "run_seed")

# What an instruction may consist of. A Text space has to list its characters; these are ASCII's and Latin-1's.
MAX_TEXT = 512
CHARACTERS = "\t\n" + "".join(chr(code) for code in range(256) if chr(code).isprintable())

Observed = dict[str, Any]  # name -> array with its time axis, or text


class BenchEnv(gymnasium.Env[Observed, Mapping[str, Any]]):
    """One task in an environment process of its own; every call waits for its answer.

    Observations are those of the suite, with GR00T's leading time axis: `video.*` uint8 (1, H, W, 3), `state.*`
    float32 (1, D), and the instruction as text. An action has one float32 (D,) for each `action.*`. The reward is 1.0
    at control steps at which the goal holds. An episode terminates at the first of them where the protocol stops on
    success, or when the environment says that it is over; it is truncated at the protocol's step cap.

    `reset(seed=n)` starts the same episode for the same n, and `reset()` goes on from there. The episodes of a run of
    `groot-bench eval` are reached with `reset(options={"index": i, "run_seed": s})`.

    Every `info` has `instruction`; `scene_hash` and `seed` (64 bits) of the episode; `success`, whether the goal
    holds now; and `first_success_step`, counted from 1, which is 0 while it has never held.

    Attributes:
        suite, task, protocol: what runs here.
        episode: the one that runs now. `index` is -1, no episode of any run, unless it was asked for by index.

    Args:
        suite: an installed suite's name, or a Suite.
        task: one of its tasks.
        protocol: its name; None for the suite's first.
        cameras: "all", or "none" to render nothing.
        max_steps: another step cap than the protocol's.
        render_mode: "rgb_array" for `render`, or None.
        python: the interpreter of the environment; None for this one.
        timeout: the longest that one command to the environment may take [s].

    Raises:
        UsageError: an argument that cannot be meant, or a suite whose libraries are missing.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 20}  # noqa: RUF012 (gymnasium's own declaration)

    def __init__(
        self,
        suite: str | Suite,
        task: str,
        protocol: str | None = None,
        cameras: str = "all",
        max_steps: int | None = None,
        render_mode: str | None = None,
        python: str | None = None,
        timeout: float = 300.0,
    ) -> None:
        _check_choices(cameras, render_mode, timeout)
        self.suite = suite if isinstance(suite, Suite) else load_suite(suite)
        self.protocol = self.suite.protocol(protocol).with_changes(max_steps=max_steps)
        full = self.suite.select_one(task)
        self.task = without_cameras(full) if cameras == "none" else full
        self.render_mode = render_mode
        self.metadata = _metadata(self.protocol, bool(self.task.cameras))
        self.observation_space = spaces.Dict({name: _space(spec) for name, spec in self.task.observation.items()})
        self.action_space = spaces.Dict({name: _space(spec) for name, spec in self.task.action.items()})
        self._settings = worker_settings(self.suite, python, timeout=timeout)
        require_ready(self.suite, self._settings.python)
        self._require_graphics()
        # What is seen is traced, not observed: a worker traces every step, but observes only where a query follows.
        seen = dict.fromkeys(name for name, spec in self.task.observation.items() if not spec.is_text)
        one = self.protocol.with_changes(actions_per_query=1)
        self._station = make_station(self.suite, self.task, one, Interface({}, self.task.action, 1), seen)
        self._worker: Worker | None = None
        self._kill: weakref.finalize[..., BenchEnv] | None = None
        self._closed = False
        self.episode: Episode | None = None
        self._over = True
        self._instruction = ""
        self._scene_hash = ""
        self._steps = 0
        self._success = False
        self._first_success_step = 0

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observed, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: of the episode and of those that follow; None goes on with `np_random`.
            options: None, or the episode of a run: {"index": i, "run_seed": s}; "run_seed" is 0 where it is left out.

        Raises:
            UsageError: options that cannot be meant, or the environment was closed.
            WorkerError: the environment process failed; the next reset starts another one.
        """
        super().reset(seed=seed)
        if self._closed:
            raise UsageError(f"{self} was closed; make another one")
        self._over = True  # until the process has answered
        episode = self._next_episode(dict(options or {}))
        self._start()
        reply = self._ask("reset", seed=episode.seed, index=max(episode.index, 0), observe=False)
        self.episode = episode
        self._over = False
        self._instruction, self._scene_hash = str(reply["instruction"]), str(reply["scene_hash"])
        self._steps, self._success, self._first_success_step = 0, False, 0
        self._check_text()
        return self._observation(), self._info()

    def step(self, action: Mapping[str, Any]) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """One control step.

        Args:
            action: name -> float32 (D,), finite; whether it is clipped to its bounds is the environment's business.

        Raises:
            ResetNeeded: the episode is over, or none has begun.
            SpecMismatch: an array is missing, unknown, of another shape, or not finite.
            WorkerError: the environment process failed; `reset` starts another one.
        """
        if self._over or self._worker is None:
            raise gymnasium.error.ResetNeeded(f"{self}: no episode is running; call reset()")
        arrays = {name: np.asarray(value, dtype=np.float32) for name, value in action.items()}
        check_arrays(self.task.action, arrays, f"action for task {self.task.name!r}")
        for name, array in arrays.items():
            self._worker.actions[name][0] = array
        reply = self._ask("run", steps=1, stop_on_success=self.protocol.stop_on_success, observe=False)
        self._steps += 1
        self._success = reply["success"] == "1"
        if self._success and not self._first_success_step:
            self._first_success_step = self._steps
        terminated = bool(reply["ended"]) or (self._success and self.protocol.stop_on_success)
        truncated = self._steps >= self.protocol.cap(self.task.name)
        self._over = terminated or truncated
        return self._observation(), float(self._success), terminated, truncated, self._info()

    def render(self) -> np.ndarray | None:
        """What all cameras see now, side by side: uint8 (H, sum of W, 3); None where no render mode was asked for."""
        if self.render_mode is None:
            return None
        if self._worker is None:
            raise gymnasium.error.ResetNeeded(f"{self}: there is nothing to see yet; call reset()")
        return _side_by_side([self._worker.traced[name][0, -1] for name in self.task.cameras])

    def close(self) -> None:
        """Ends the process; may be called twice."""
        self._closed = True
        worker, self._worker = self._worker, None
        if worker is not None and self._kill is not None:
            self._kill.detach()
            worker.close()

    def _next_episode(self, options: dict[str, Any]) -> Episode:
        names = (self.suite.name, self.protocol.name, self.task.name)
        if options:
            _check_options(options)
            return make_episode(*names, options["index"], options.get("run_seed", 0))
        numbers = self.np_random.integers(0, 2**32, 2, dtype=np.uint64)
        seed = int(numbers[0]) << 32 | int(numbers[1])
        if self.protocol.start_states == "sampled":
            return Episode(*names, -1, seed)
        return Episode(*names, int(self.np_random.integers(self.protocol.episodes_per_task)), seed)

    def _require_graphics(self) -> None:
        if self.task.cameras:
            backend = graphics.backend(self.suite.variables)
            if backend is not None:
                graphics.require(backend)
        elif self.render_mode is not None:
            raise UsageError(f"task {self.task.name!r} has no camera to render; leave render_mode away")

    def _start(self) -> None:
        """Starts the process and builds the task in it, where it does not run."""
        if self._worker is not None:
            return
        self._worker = Worker(self._settings)
        # Unlike __del__, this also runs in good order when the interpreter exits.
        self._kill = weakref.finalize(self, self._worker.kill)
        self._ask(None)
        self._ask("make")

    def _ask(self, do: str | None, **arguments: object) -> Mapping[str, object]:
        """Sends a command (None: it has only to start) and waits; where anything goes wrong, the process is ended."""
        worker = self._worker
        assert worker is not None
        reply = None
        try:
            if do == "make":
                worker.send_make(self.task.name, self._station.settings, self._station.layout)
            elif do is not None:
                worker.send(do, **arguments)
            reply = worker.wait()
        finally:  # Ctrl-C too: its answer, still to come, would be taken for that of the next command
            if reply is None:
                self._end()
        return reply

    def _end(self) -> None:
        self._worker, self._over = None, True
        if self._kill is not None:
            self._kill()

    def _observation(self) -> Observed:
        assert self._worker is not None
        found: Observed = {name: array[0].copy() for name, array in self._worker.traced.items()}
        return {name: found.get(name, self._instruction) for name in self.task.observation}

    def _info(self) -> dict[str, Any]:
        assert self.episode is not None
        return {
            "instruction": self._instruction,
            "scene_hash": self._scene_hash,
            "success": self._success,
            "first_success_step": self._first_success_step,
            # gymnasium's vector environments put an int into an int64, which half of all 64-bit seeds do not fit.
            "seed": np.uint64(self.episode.seed),
        }

    def _check_text(self) -> None:
        keys = [name for name, spec in self.task.observation.items() if spec.is_text]
        if keys and not _text_space().contains(self._instruction):
            self._over = True
            raise SpecMismatch(
                f"{', '.join(keys)}: the instruction {self._instruction!r} does not fit the observation space, whose "
                f"texts have at most {MAX_TEXT} characters of Latin-1; run this task with groot-bench eval"
            )


def _check_choices(cameras: str, render_mode: str | None, timeout: float) -> None:
    if cameras not in CAMERAS:
        raise UsageError(f"cameras must be one of {', '.join(CAMERAS)}, got {cameras!r}")
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise UsageError(f"render_mode must be None or one of {', '.join(RENDER_MODES)}, got {render_mode!r}")
    if render_mode is not None and cameras == "none":
        raise UsageError(f"render_mode {render_mode!r} shows what the cameras see: leave cameras='none' away")
    if not timeout > 0:
        raise UsageError(f"timeout must be more than 0 seconds, got {timeout:g}")


def _check_options(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in OPTIONS:
            raise UnknownName("option of reset", name, OPTIONS)
    if "index" not in options:
        raise UsageError("option 'run_seed' of reset needs 'index', the episode's number within its task")
    for name, value in options.items():
        if type(value) is not int or value < 0:
            raise UsageError(f"option {name!r} of reset must be a whole number, 0 or more, got {value!r}")


def _metadata(protocol: Protocol, sees: bool) -> dict[str, Any]:
    rate = protocol.control_hz
    return {
        "render_modes": list(RENDER_MODES) if sees else [],
        "render_fps": int(rate) if rate == int(rate) else rate,
    }


def _space(spec: ArraySpec) -> spaces.Space[Any]:
    """The gymnasium space of one array, or of text."""
    if spec.is_text:
        return _text_space()
    low = -np.inf if spec.low is None else spec.low
    high = np.inf if spec.high is None else spec.high
    shape = tuple(int(size or 0) for size in spec.shape)
    return spaces.Box(low, high, shape, np.dtype(spec.dtype).type)


def _text_space() -> spaces.Text:
    return spaces.Text(MAX_TEXT, min_length=0, charset=CHARACTERS)


def _side_by_side(frames: list[np.ndarray]) -> np.ndarray:
    """Pictures (H, W, 3), the lower ones filled up with black, as one (max H, sum W, 3)."""
    picture = np.zeros((max(len(frame) for frame in frames), sum(frame.shape[1] for frame in frames), 3), np.uint8)
    left = 0
    for frame in frames:
        picture[: frame.shape[0], left : left + frame.shape[1]] = frame
        left += frame.shape[1]
    return picture


# gymnasium's form of an id, <namespace>/<Name>-v<version>, and ours, whose namespace may have parts: a/b/<Name>-v1.
FLAT_ID = r"^(?:(?P<namespace>[\w:-]+)\/)?(?:(?P<name>[\w:.-]+?))(?:-v(?P<version>\d+))?$"
NESTED_ID = FLAT_ID.replace(r"[\w:-]+)\/", r"[\w:-]+(?:\/[\w:-]+)*)\/", 1)


def allow_nested_namespaces() -> None:
    """Lets gymnasium take ids with more than one slash; every id that it took before, it reads as before.

    gymnasium (1.0 to 1.4) offers no hook for this: `register` and `make` parse ids with one module-level pattern.

    Raises:
        UsageError: this version of gymnasium parses ids in another way.
    """
    pattern = getattr(registration, "ENV_ID_RE", None)
    if isinstance(pattern, re.Pattern) and pattern.pattern == FLAT_ID:
        registration.ENV_ID_RE = re.compile(NESTED_ID)
        pattern = registration.ENV_ID_RE
    if not isinstance(pattern, re.Pattern) or not pattern.fullmatch(f"{NAMESPACE}/suite/Task-v1"):
        found = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
        raise UsageError(
            f"gymnasium {gymnasium.__version__} reads environment ids with {found!r}, which groot_bench.gym does not "
            "know how to widen; install 'gymnasium>=1.0,<=1.4', or use groot_bench.gym.BenchEnv with another version"
        )


def env_id(suite: Suite, task: str) -> str:
    """The gymnasium id of a task; characters that an id cannot have become "_"."""
    space, name = re.sub(r"[^\w-]", "_", suite.name), re.sub(r"[^\w.-]", "_", task)
    return f"{NAMESPACE}/{space}/{name}-v{suite.version}"


def register_suites() -> None:
    """Registers every task of every installed suite that is not registered yet; imports no simulator."""
    for name in suite_names():
        suite = load_suite(name)
        for task in suite.tasks:
            wanted = {"suite": name, "task": task}
            known = registration.registry.get(env_id(suite, task))
            if known is None:
                # As `gymnasium.register` does, which compares each id with all others: 16 seconds for 10,000 tasks.
                spec = registration.EnvSpec(env_id(suite, task), entry_point="groot_bench.gym:BenchEnv", kwargs=wanted)
                registration.registry[spec.id] = spec
            elif known.kwargs != wanted:
                raise UsageError(f"gymnasium id {known.id!r} stands for {known.kwargs} already, and not for {wanted}")


allow_nested_namespaces()
register_suites()
