"""Where a run came from: what must be equal for two runs to be one experiment, and what is only worth knowing."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groot_bench.policy import PolicyInfo
from groot_bench.protocol import Protocol

MODEL_PACKAGES = ("torch", "transformers", "tokenizers", "opencv-python-headless", "scipy")
NOTED_PACKAGES = ("numpy", *MODEL_PACKAGES, "mujoco", "robosuite", "gymnasium", "av", "pyarrow")


def version() -> str:
    """The installed version of groot-bench."""
    return importlib.metadata.version("groot-bench")


def policy_entry(info: PolicyInfo) -> dict[str, Any]:
    """A policy as it stands in the manifest; anything that is not plain JSON is refused by `to_plain`."""
    entry: dict[str, Any] = to_plain(dataclasses.asdict(info))
    return entry


def protocol_entry(protocol: Protocol) -> dict[str, Any]:
    """A protocol as it stands in the manifest."""
    entry: dict[str, Any] = to_plain(protocol.to_json())
    return entry


def to_plain(value: object) -> Any:
    """The value as JSON would give it back (tuples become lists); raises TypeError for anything else."""
    return json.loads(json.dumps(value, sort_keys=True, allow_nan=False))


def fingerprint(experiment: Mapping[str, Any], shard: Sequence[int]) -> str:
    """Ten hex digits that tell experiments apart; they name a run's folder where the user does not."""
    text = json.dumps([experiment, list(shard)], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()


def differences(there: object, here: object, prefix: str = "") -> dict[str, tuple[object, object]]:
    """The leaves in which two JSON values differ: dotted field -> (there, here); an absent one shows as None."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        found: dict[str, tuple[object, object]] = {}
        for key in sorted(set(there) | set(here)):
            found.update(differences(there.get(key), here.get(key), f"{prefix}.{key}" if prefix else str(key)))
        return found
    return {} if there == here else {prefix: (there, here)}


def invocation(command: Sequence[str] | None, slots: int, python: str, versions: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth knowing of one start of a run; none of it may change a result, so none of it is compared.

    Args:
        command: the words of the command line, or None when called from Python.
        slots: environments at once.
        python: the interpreter of the environments.
        versions: of the packages in it.
    """
    return {
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": None if command is None else shlex.join(command),
        "slots": slots,
        "environment_python": python,
        "environment_versions": dict(versions),
        "groot_bench": version(),
        "git": git_state(Path(__file__).parent),
        "python": platform.python_version(),
        "packages": _noted_packages(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "gpus": _gpus(),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the checkout that `folder` is in; None where it is in none, or git is absent."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
        tracked = bool(_git(folder, "ls-files", "--", "."))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": dirty} if tracked else None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.strip()


def _noted_packages() -> dict[str, str]:
    found = {}
    for name in NOTED_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _gpus() -> list[str]:
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []
