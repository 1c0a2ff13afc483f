"""The environment side of `groot_bench.testing.fake_suite`."""

import os
import signal
import sys
import time
from typing import Dict, Mapping, NamedTuple, Sequence

import numpy as np


class Step(NamedTuple):
    success: bool
    ended: bool


class FakeEnv:
    """Counts control steps; the goal holds from a drawn step on.

    Settings (all optional):
        success: [first, last] the step at which the goal begins to hold is drawn from these, ends included.
        chance: of an episode to succeed at all.
        step_seconds, reset_seconds: how long they take.
        frame: side of the square frames [px].
        faults: "<task>:<index>" or "<index>" -> a fault, done at `fault_step` (0 is reset). Faults: raise, segfault,
            exit, hang, print, nan, shape, end. "once:<fault>" is done only while the file `once` does not exist.
        once: path of that file.
        count_frames: path of a file that grows by one byte for each frame that is rendered.
    """

    def __init__(self, task: str, settings: Dict[str, object]) -> None:
        self._task, self._settings = task, settings
        self._frame_side = int(settings.get("frame", 8))
        self._broken = ""

    def reset(self, seed: int, index: int) -> str:
        rng = np.random.Generator(np.random.PCG64(seed))
        first, last = self._settings.get("success", [3, 10])
        lucky = rng.random() < self._settings.get("chance", 1.0)
        self._when = int(rng.integers(first, last + 1)) if lucky else -1
        self._noise = rng.random(2)
        self._frame = rng.integers(0, 256, (1, self._frame_side, self._frame_side, 3), np.uint8)
        self._count = 0
        self._fault = self._fault_of(index)
        self._broken = ""
        time.sleep(float(self._settings.get("reset_seconds", 0.0)))
        self._maybe_fail()
        return "count to %d" % self._when

    def scene(self) -> Mapping[str, np.ndarray]:
        return {"when": np.array([self._when]), "noise": self._noise}

    def observe(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        frames = [name for name in names if name.startswith("video.")]
        if frames and "count_frames" in self._settings:
            with open(str(self._settings["count_frames"]), "a") as file:
                file.write("." * len(frames))
        count = np.float32(np.nan if self._broken == "nan" else self._count)
        shape = (1, 2) if self._broken == "shape" else (1, 1)
        makers = {
            "state.count": lambda: np.full(shape, count, np.float32),
            "state.noise": lambda: self._noise.astype(np.float32)[None],
            "video.front": lambda: self._frame.copy(),
            "video.wrist": lambda: self._frame[:, ::-1].copy(),
        }
        return {name: makers[name]() for name in names}

    def step(self, action: Mapping[str, np.ndarray]) -> Step:
        self._count += 1
        self._noise = self._noise + 0.01 * action["action.move"][0]
        if self._settings.get("step_seconds"):
            time.sleep(float(self._settings["step_seconds"]))
        self._maybe_fail()
        return Step(0 < self._when <= self._count, self._broken == "end")

    def close(self) -> None:
        pass

    def _fault_of(self, index: int) -> str:
        faults = self._settings.get("faults", {})
        fault = str(faults.get("%s:%d" % (self._task, index), faults.get(str(index), "")))
        if fault.startswith("once:"):
            if os.path.exists(str(self._settings["once"])):
                return ""
            fault = fault[len("once:") :]
        return fault

    def _maybe_fail(self) -> None:
        if not self._fault or self._count != int(self._settings.get("fault_step", 2)):
            return
        if "once" in self._settings:
            open(str(self._settings["once"]), "w").close()
        print("about to fail: " + self._fault, file=sys.stderr, flush=True)
        if self._fault == "raise":
            raise RuntimeError("the physics exploded")
        if self._fault == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif self._fault == "exit":
            os._exit(3)
        elif self._fault == "hang":
            time.sleep(3600)
        elif self._fault == "print":
            for _ in range(5000):
                print("a simulator that talks a lot " * 8)
            os.write(1, b'{"ok": {"success": "1", "ended": true}}\n')
        else:
            self._broken = self._fault


def make_env(task: str, settings: Dict[str, object]) -> FakeEnv:
    """The environment; the task "Import" cannot even be built."""
    if task == "Import":
        import no_such_simulator  # noqa: F401
    return FakeEnv(task, settings)
