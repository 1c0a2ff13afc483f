"""The child side of an environment process: takes commands over a socket, puts arrays into shared memory.

Started by file path under any interpreter (Python 3.8 or later), so it imports only the standard library and NumPy,
and finds the rest of `groot_envs` by its own location, never through the harness's site-packages:

    python .../groot_envs/worker.py SOCKET_FD MEMORY_FD LIFELINE_FD

A message is a 4-byte little-endian length and that many bytes of JSON. Each command gets one reply, {"ok": {...}} or
{"error": "<traceback>"}. Commands: make, reset, run, close (see the functions of those names). Arrays do not travel in
messages: they lie in the memory behind MEMORY_FD, at the places that `make` announces.

What the environment prints goes to stdout and stderr, which the parent keeps as the child's words; it cannot disturb
the protocol, which has a socket of its own.
"""

import faulthandler
import fcntl
import hashlib
import importlib
import importlib.util
import json
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import traceback

import numpy as np

LENGTH = struct.Struct("<I")
MAX_MESSAGE = 1 << 24


class Channel:
    """Length-prefixed JSON over a socket."""

    def __init__(self, sock):
        self._sock = sock

    def receive(self):
        """The next message; raises EOFError when the parent is gone."""
        (size,) = LENGTH.unpack(self._exactly(LENGTH.size))
        if size > MAX_MESSAGE:
            raise ValueError("message of %d bytes is over the limit of %d" % (size, MAX_MESSAGE))
        return json.loads(self._exactly(size).decode("utf-8"))

    def send(self, message):
        data = json.dumps(message).encode("utf-8")
        self._sock.sendall(LENGTH.pack(len(data)) + data)

    def _exactly(self, size):
        parts = []
        while size:
            part = self._sock.recv(size)
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class Worker:
    """One environment and its places in shared memory."""

    def __init__(self, memory_fd):
        self._memory_fd = memory_fd
        self._memory = None
        self._env = None
        self._observed = {}
        self._traced = {}
        self._actions = {}
        self._audit = None

    def make(self, env, task, settings, size, observed, traced, actions, paths, audit):
        """Builds the environment of `task` and maps the arrays.

        Args:
            env: "module:function" or "/path/file.py:function".
            task, settings: handed to that function.
            size: bytes of the shared memory.
            observed: the places of what the next query reads: [name, dtype, shape, offset].
            traced: the places of what is kept of each step; the first axis counts the steps of a chunk.
            actions: the places of the chunk to execute, each (k, D).
            paths: folders that importing `env` needs, put first in sys.path.
            audit: whether to check that observations are fresh copies; see `Audit`.
        """
        if self._env is not None:
            self._env.close()
            self._env = None
        for path in reversed(paths):
            if path not in sys.path:
                sys.path.insert(0, path)
        self._memory = mmap.mmap(self._memory_fd, size)
        self._observed = self._views(observed)
        self._traced = self._views(traced)
        self._actions = self._views(actions)
        self._audit = Audit() if audit else None
        self._env = load(env)(task, settings)
        return {}

    def reset(self, seed, index, observe, trace=None):
        """Starts an episode; the first observation lies in memory when this returns, and the first traced row.

        Args:
            seed, index: of the episode.
            observe: whether a query follows.
            trace: the names of what is traced of this episode; None for all that has a place.
        """
        instruction = self._env.reset(seed, index)
        if self._audit:
            self._audit.untouched("reset")
        if not isinstance(instruction, str):
            raise TypeError("reset must return the instruction (a str), got %s" % type(instruction).__name__)
        scene_hash = digest(self._env.scene())
        traced = self._trace(0, self._traced if trace is None else trace)
        if observe:
            self._observe(traced)
        frames = {name: view for name, view in self._observed.items() if name.startswith("video.")}
        return {
            "instruction": instruction,
            "scene_hash": scene_hash,
            "frames_hash": digest(frames) if frames and observe else None,
        }

    def run(self, steps, stop_on_success, observe, trace=None):
        """Executes up to `steps` actions of the chunk in memory, rendering nothing in between.

        Args:
            steps: how many; the episode's cap is the parent's business.
            stop_on_success: whether to end at the first step at which the goal holds.
            observe: whether a query follows when all of them were executed.
            trace: as for `reset`.

        Returns:
            success: one character for each executed step, "1" where the goal held.
            ended: whether the environment said that it is over.
        """
        success = ""
        trace = self._traced if trace is None else trace
        for i in range(steps):
            action = {name: view[i].copy() for name, view in self._actions.items()}
            held, ended = self._env.step(action)
            if self._audit:
                self._audit.untouched("step")
            success += "1" if held else "0"
            traced = self._trace(i, trace)
            if ended or (held and stop_on_success):
                break
        else:
            if observe:
                self._observe(traced)
        return {"success": success, "ended": bool(ended)}

    def close(self):
        if self._env is not None:
            self._env.close()
            self._env = None
        return {}

    def _observe(self, known):
        """Puts what the next query reads into its places; `known` was observed at this very moment."""
        arrays = self._env.observe([name for name in self._observed if name not in known])
        for name, view in self._observed.items():
            put(name, known if name in known else arrays, view)
        if self._audit:
            self._audit.observed({**known, **arrays}, new=arrays)

    def _trace(self, row, names):
        """Puts what is kept of this step into its places, and returns it."""
        if not names:
            return {}
        arrays = self._env.observe(list(names))
        for name in names:
            put(name, arrays, self._traced[name][row])
        if self._audit:
            self._audit.observed(arrays, new=arrays)
        return arrays

    def _views(self, places):
        views = {}
        for name, dtype, shape, offset in places:
            dtype = np.dtype(dtype)
            count = int(np.prod(shape, dtype=np.int64))
            views[name] = np.frombuffer(self._memory, dtype=dtype, count=count, offset=offset).reshape(shape)
        return views


class Audit:
    """Checks the promise that what `observe` returned is never written again."""

    def __init__(self):
        self._arrays = {}
        self._copies = {}

    def observed(self, arrays, new):
        """`arrays` are all that was handed out at this moment, `new` those of them that were not checked before."""
        for name, array in new.items():
            if name in self._arrays and np.shares_memory(array, self._arrays[name]):
                raise AssertionError("observe() returned the same memory twice for %s" % name)
        self._arrays = dict(arrays)
        self._copies = {name: array.copy() for name, array in arrays.items()}

    def untouched(self, by):
        for name, array in self._arrays.items():
            if array.tobytes() != self._copies[name].tobytes():
                raise AssertionError("%s, returned by observe(), was written by a later %s()" % (name, by))


def put(name, arrays, view):
    """Copies one array into its place; another shape or dtype than the suite declared is an error."""
    if name not in arrays:
        raise KeyError("observe() did not return %r (it returned: %s)" % (name, ", ".join(sorted(arrays)) or "nothing"))
    array = arrays[name]
    if not isinstance(array, np.ndarray) or array.dtype != view.dtype or array.shape != view.shape:
        got = "%s%s" % (getattr(array, "dtype", type(array).__name__), list(getattr(array, "shape", ())))
        raise TypeError(
            "%s: the suite declares %s%s, observe() returned %s" % (name, view.dtype, list(view.shape), got)
        )
    view[...] = array


def digest(arrays):
    """128-bit hex digest of named arrays: names, dtypes, shapes and bytes, in the order of the names."""
    total = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(("%s %s %s;" % (name, array.dtype.str, array.shape)).encode("utf-8"))
        total.update(array.tobytes())
    return total.hexdigest()


def load(where):
    """The function behind "module:function" or "/path/file.py:function"."""
    module, _, function = where.rpartition(":")
    if module.endswith(".py"):
        # A name of our own: a file called mujoco.py must not stand in for the module of that name.
        name = "_groot_env_" + os.path.splitext(os.path.basename(module))[0]
        spec = importlib.util.spec_from_file_location(name, module)
        if spec is None or spec.loader is None:
            raise ImportError("cannot load %s" % module)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = loaded
        spec.loader.exec_module(loaded)
    else:
        loaded = importlib.import_module(module)
    return getattr(loaded, function)


def adopt_package(name, folder):
    """Makes the package in `folder` importable by that name, without its siblings."""
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)


def die_with_parent(lifeline_fd):
    """Ends this process when the parent does, however it does: the parent holds the pipe's other end.

    On Linux the kernel itself kills the whole process group when that end closes, which also works while the simulator
    is stuck in C code; elsewhere a thread does it, as soon as it gets to run.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline_fd, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline_fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline_fd, fcntl.F_SETFL, fcntl.fcntl(lifeline_fd, fcntl.F_GETFL) | os.O_ASYNC)

    def wait():
        while os.read(lifeline_fd, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def serve(channel, worker):
    commands = {"make": worker.make, "reset": worker.reset, "run": worker.run, "close": worker.close}
    channel.send({"ok": {"python": sys.version.split()[0]}})
    while True:
        try:
            message = channel.receive()
        except (EOFError, ConnectionResetError):
            return
        name = message.pop("do")
        try:
            reply = {"ok": commands[name](**message)}
        except Exception:  # the boundary: whatever the environment raises becomes words for the parent
            reply = {"error": traceback.format_exc()}
        channel.send(reply)
        if name == "close":
            return


def main():
    socket_fd, memory_fd, lifeline_fd = (int(text) for text in sys.argv[1:4])
    faulthandler.enable()
    here = os.path.dirname(os.path.abspath(__file__))
    # Started by path, Python put this folder first: `import robosuite` would then find our suite of that name.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or os.getcwd()) != here]
    adopt_package("groot_envs", here)
    die_with_parent(lifeline_fd)
    serve(Channel(socket.socket(fileno=socket_fd)), Worker(memory_fd))
    sys.stdout.flush()
    # Renderers are known to crash in their destructors at exit; everything that matters has been handed over.
    os._exit(0)


if __name__ == "__main__":
    main()
