"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from groot_bench import graphics

# No test is timed: the first example may compile, and machines are shared.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: cores are shared with environments
ROOT = Path(__file__).resolve().parent.parent
# Tests use the suites that `make` has set up beside its own environment, never those in the user's cache.
os.environ["GROOT_BENCH_CACHE"] = os.environ.get("GROOT_BENCH_TEST_CACHE", str(ROOT / ".venv" / "suites"))


PLAIN = ("MUJOCO_GL", "PYTHONPATH", "PYTHONHASHSEED", "OMP_NUM_THREADS")


@pytest.fixture(autouse=True, scope="module")
def _plain_environment_of_modules() -> None:
    """What a library sets while it is imported (robosuite: MUJOCO_GL) may not reach fixtures of whole modules."""
    for name in PLAIN:
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the user's shell may decide a test, and nothing may use more than its core."""
    for name in PLAIN:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `groot-bench` in a real process, in an empty folder."""

    def run(*words: object, timeout: float = 300.0, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "groot_bench", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


def shared_folder() -> Path | None:
    """The folder of shared reference data; a user's clone has none."""
    folder = Path(os.environ.get("GROOT_BENCH_SHARED", ROOT.parent / "shared"))
    return folder if folder.is_dir() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `sim` need robosuite; without it they skip and say how to get it."""
    if importlib.util.find_spec("robosuite") and importlib.util.find_spec("mujoco"):
        reason = "" if graphics.is_present("egl") else f"no EGL: {graphics.install_command('egl')}"
    else:
        reason = "robosuite is not installed: make test installs it"
    for item in items:
        if item.get_closest_marker("sim") and reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Path:
    """A file system of 64 kB; skips where this process may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "none", folder]).returncode:
        pytest.skip("this process may not mount a file system")
    yield folder  # type: ignore[misc]
    subprocess.run(["umount", str(folder)], check=True)
