"""The environment side of `groot_bench.testing.fake_suite`."""

import ctypes
import os
import signal
import subprocess
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
            exit, hang, stuck, print, long, nan, shape, end. "once:<fault>" is done only while file `once` is absent.
        once: path of that file.
        count_resets: path of a file that gets a line "<task> <index> <resets of this process>" for each reset.
        sin: a law that it breaks all the time: leak (state of one episode reaches the next), shared (observations are
            views), unseeded, same (all episodes have one scene), mute (no instruction), wild (beyond its bounds).
        hash_in_instruction: whether the instruction ends with the hash of a string.
        count_frames: path of a file that grows by one byte for each frame that is rendered.
    """

    def __init__(self, task: str, settings: Dict[str, object]) -> None:
        self._task, self._settings = task, settings
        self._frame_side = int(settings.get("frame", 8))
        self._broken = ""
        self._resets = 0
        self._noise = np.zeros(2)
        self._shared = np.zeros((1, 1), np.float32)

    def reset(self, seed: int, index: int) -> str:
        sin = self._settings.get("sin")
        rng = np.random.Generator(np.random.PCG64({"unseeded": None, "same": 0}.get(sin, seed)))
        first, last = self._settings.get("success", [3, 10])
        lucky = rng.random() < self._settings.get("chance", 1.0)
        self._when = int(rng.integers(first, last + 1)) if lucky else -1
        self._noise = rng.random(2) + (self._noise if sin == "leak" else 0.0)
        self._frame = rng.integers(0, 256, (1, self._frame_side, self._frame_side, 3), np.uint8)
        self._count = 0
        self._fault = self._fault_of(index)
        self._broken = ""
        self._resets += 1
        if "count_resets" in self._settings:
            with open(str(self._settings["count_resets"]), "a") as file:
                file.write("%s %d %d\n" % (self._task, index, self._resets))
        time.sleep(float(self._settings.get("reset_seconds", 0.0)))
        self._maybe_fail()
        tail = " #%d" % hash("a string") if self._settings.get("hash_in_instruction") else ""
        if sin == "mute":
            return ""
        return "count to %d%s" % (self._when, tail)

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
            "state.noise": lambda: (
                self._noise.astype(np.float32)[None] + (9 if self._settings.get("sin") == "wild" else 0)
            ),
            "video.front": lambda: self._frame.copy(),
            "video.wrist": lambda: self._frame[:, ::-1].copy(),
        }
        arrays = {name: makers[name]() for name in names}
        if self._settings.get("sin") == "shared" and "state.count" in arrays:
            self._shared[:] = arrays["state.count"]
            arrays["state.count"] = self._shared
        return arrays

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
        faults = {
            "raise": self._raise,
            "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
            "exit": lambda: os._exit(3),
            "hang": lambda: time.sleep(3600),
            "stuck": self._get_stuck,
            "long": self._raise,
            "print": self._talk,
        }
        if self._fault in faults:
            faults[self._fault]()
        else:
            self._broken = self._fault

    def _raise(self) -> None:
        raise RuntimeError("x" * int(self._settings.get("long", 0)) + "the physics exploded")

    def _get_stuck(self) -> None:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        ctypes.PyDLL(None).sleep(60)  # PyDLL keeps the interpreter's lock, as a simulator's bindings may

    def _talk(self) -> None:
        for _ in range(5000):
            print("a simulator that talks a lot " * 8)
        os.write(1, b'{"ok": {"success": "1", "ended": true}}\n')


def make_env(task: str, settings: Dict[str, object]) -> FakeEnv:
    """The environment; the task "Import" cannot even be built."""
    if task == "Import":
        import no_such_simulator  # noqa: F401
    return FakeEnv(task, settings)
