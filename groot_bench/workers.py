"""The parent side of an environment process: start it, speak to it, notice that it died or hangs, end it.

The child (`groot_envs/worker.py`) is started by file path under the suite's interpreter, never forked: renderer threads
do not survive a fork. Messages go over a socket pair, arrays through an anonymous shared file, and a pipe that only the
parent holds open tells the child when the parent is gone, so nothing outlives a SIGKILL.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import mmap
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from groot_bench.errors import RunAborted, SuiteNotReady, WorkerError
from groot_bench.interpreter import child_environment
from groot_bench.layout import Layout

LENGTH = struct.Struct("<I")
MAX_MESSAGE = 1 << 24
MAX_WORDS = 16_384  # bytes of the child's output that are kept
EXIT_GRACE = 2.0  # seconds between a worker's good-bye and killing it
KILL_GRACE = 15.0  # seconds for a killed one to end: gigabytes are freed first, on a machine that is busy


@dataclass(frozen=True)
class WorkerSettings:
    """How to start the processes of one suite.

    Attributes:
        env: where the environment's code is; see `Suite.env`.
        python: the interpreter.
        variables: environment variables; values that the user has set win.
        paths: folders to put first in the child's sys.path.
        timeout: the longest that one command may take [s]; building an environment is one, a chunk another.
        audit: check in the child that observations are fresh copies (slow; for `check_suite`).
    """

    env: str
    python: str = sys.executable
    variables: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    timeout: float = 300.0
    audit: bool = False


class Worker:
    """One environment process.

    A command is sent with `send`; its reply is fetched with `poll`, which never blocks, or `wait`, which does. At most
    one command is in flight. Every failure is a WorkerError, after which the worker is only good for `kill`.

    Attributes:
        task: what it has been built for, or None.
        observed, traced, actions: name -> array in shared memory, from `make` on.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.task: str | None = None
        self.observed: Mapping[str, np.ndarray] = {}
        self.traced: Mapping[str, np.ndarray] = {}
        self.actions: Mapping[str, np.ndarray] = {}
        self._layout: Layout | None = None
        self._incoming = bytearray()
        self._words = bytearray()
        self.deadline: float | None = None
        self._doing = "start"
        self._size = 0
        self._memory_fd = -1
        try:
            self._memory_fd = _anonymous_file()
            self._start()
        except OSError as problem:  # no descriptors, processes or memory left
            raise RunAborted(
                f"no process could be started for another environment: {problem}; use fewer --slots, or raise the "
                f"limit (each slot takes one process and about five open files, see ulimit -n)"
            ) from None

    def _start(self) -> None:
        parent_socket, child_socket = socket.socketpair()
        lifeline_read, self._lifeline = os.pipe()
        output_read, output_write = os.pipe()
        command = [self.settings.python, str(worker_file())]
        command += [str(fd) for fd in (child_socket.fileno(), self._memory_fd, lifeline_read)]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=(child_socket.fileno(), self._memory_fd, lifeline_read),
                env=child_environment(self.settings.python, self.settings.variables),
                start_new_session=True,  # a Ctrl-C at the terminal is for the parent, which ends the workers itself
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as problem:
            parent_socket.close()
            for fd in (self._lifeline, output_read, self._memory_fd):
                os.close(fd)
            raise SuiteNotReady(f"cannot start the interpreter {self.settings.python!r}: {problem}") from None
        finally:
            child_socket.close()
            os.close(lifeline_read)
            os.close(output_write)
        parent_socket.setblocking(False)
        os.set_blocking(output_read, False)
        self.socket = parent_socket
        self.output = output_read
        self.deadline = time.monotonic() + self.settings.timeout

    def send_make(self, task: str, settings: Mapping[str, Any], layout: Layout) -> None:
        """Asks for the environment of `task`, with its arrays laid out as `layout`."""
        self._layout = layout
        self.task = task
        if layout.size > self._size:  # never smaller: the child may still hold the old map
            os.ftruncate(self._memory_fd, layout.size)
            self._size = layout.size
        memory = mmap.mmap(self._memory_fd, layout.size)
        self.observed = layout.views(memory, layout.observed)
        self.traced = layout.views(memory, layout.traced)
        self.actions = layout.views(memory, layout.actions)
        self.send(
            "make",
            env=self.settings.env,
            task=task,
            settings=settings,
            size=layout.size,
            observed=layout.observed,
            traced=layout.traced,
            actions=layout.actions,
            paths=self.settings.paths,
            audit=self.settings.audit,
        )

    def send(self, do: str, **arguments: object) -> None:
        """Sends one command and starts its clock."""
        data = json.dumps({"do": do, **arguments}).encode()
        if do == "reset":  # what was printed in earlier episodes must not be quoted in an error of this one
            self.words()
            self._words.clear()
        self._doing = do
        self.deadline = time.monotonic() + self.settings.timeout
        try:
            # A command fits the socket's buffer, as only one is ever in flight; more would mean a child that is stuck.
            sent = self.socket.send(LENGTH.pack(len(data)) + data)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            raise self._death() from None
        if sent != LENGTH.size + len(data):
            raise WorkerError("exception", f"command {do!r} of {len(data)} bytes does not fit the worker's socket")

    def poll(self) -> dict[str, Any] | None:
        """The reply to the command in flight, or None while it is not there."""
        while True:
            message = self._take_message()
            if message is not None:
                self.deadline = None
                if "error" in message:
                    words = self.words()
                    trace = str(message["error"]).rstrip()
                    said = f"{trace}\nit had printed:\n{words}" if words else trace
                    raise WorkerError("exception", f"the environment failed in {self._doing!r}", said)
                return message["ok"]
            try:
                data = self.socket.recv(1 << 16)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                data = b""
            if not data:
                raise self._death()
            self._incoming += data

    def wait(self) -> dict[str, Any]:
        """The reply to the command in flight, however long it takes (up to the timeout)."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self.output, selectors.EVENT_READ)
            while True:
                reply = self.poll()
                if reply is not None:
                    return reply
                self.check_deadline()
                for key, _ in selector.select(0.5):
                    if key.fd == self.output and not self.drain():
                        selector.unregister(self.output)

    def check_deadline(self) -> None:
        """Raises WorkerError when the command in flight has taken too long."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            limit = f"{self.settings.timeout:g} s"
            raise WorkerError("timeout", f"no answer to {self._doing!r} within {limit}; it was killed", self.words())

    def drain(self) -> bool:
        """Keeps the end of what the child printed; False once it can print no more."""
        try:
            data = os.read(self.output, 1 << 16)
        except BlockingIOError:
            return True
        self._words += data
        del self._words[:-MAX_WORDS]
        return bool(data)

    def words(self) -> str:
        """The end of what the child printed on stdout and stderr."""
        for _ in range(64):  # what is in the pipe now; a child that prints for ever must not hold us here
            before = len(self._words)
            if not self.drain() or len(self._words) == before:
                break
        return self._words.decode(errors="replace").strip()

    def kill(self) -> None:
        """Ends the process and all that it started, and frees what it shared, at once."""
        if self.process.returncode is None:  # not reaped yet, so its number cannot have gone to another process
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel; it ends when that lets go
                self.process.wait(KILL_GRACE)
        self._free()

    def close(self) -> None:
        """Asks the environment to close, and kills the process where it does not."""
        if self._memory_fd < 0:  # it is gone already
            return
        try:
            self.send("close")
            self._exits()
        except WorkerError:
            pass
        self.kill()

    def _exits(self) -> bool:
        """Whether the process ends by itself within the grace time; it is not reaped, so that `kill` can still act."""
        deadline = time.monotonic() + EXIT_GRACE
        while os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _free(self) -> None:
        if self._memory_fd < 0:
            return
        self.observed, self.traced, self.actions = {}, {}, {}
        self.socket.close()
        for fd in (self.output, self._lifeline, self._memory_fd):
            os.close(fd)
        self._memory_fd = -1

    def _take_message(self) -> dict[str, Any] | None:
        if len(self._incoming) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._incoming)
        if size > MAX_MESSAGE:
            raise WorkerError(
                "exception", f"the worker announced a message of {size} bytes; the limit is {MAX_MESSAGE}"
            )
        end = LENGTH.size + size
        if len(self._incoming) < end:
            return None
        try:
            message = json.loads(bytes(self._incoming[LENGTH.size : end]))
        except ValueError as problem:
            raise WorkerError("exception", f"the worker sent what is not JSON: {problem}") from None
        del self._incoming[:end]
        if not isinstance(message, dict) or not ({"ok", "error"} & set(message)):
            raise WorkerError("exception", "the worker sent a reply that is neither 'ok' nor 'error'")
        return message

    def _death(self) -> WorkerError:
        how = "closed its connection"
        if self._exits():
            words = self.words()
            self.kill()
            code = self.process.returncode
            how = f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        else:
            words = self.words()
        return WorkerError("crash", f"the environment process {how} during {self._doing!r}", words)


def worker_file() -> Path:
    """The child's program; found without importing it."""
    spec = importlib.util.find_spec("groot_envs")
    if spec is None or not spec.submodule_search_locations:
        raise SuiteNotReady("the package groot_envs is not installed; install groot-bench again")
    return Path(next(iter(spec.submodule_search_locations))) / "worker.py"


def _anonymous_file() -> int:
    """A file without a name, in memory where the system has that; it is gone with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("groot-bench")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
