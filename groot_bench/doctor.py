"""What works here, what does not, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from groot_bench import catalog, graphics
from groot_bench.models.options import PACKAGES
from groot_bench.provenance import version

RENDER_SECONDS = 120  # the first EGL context on a busy machine can take many seconds

# Renders one 64x64 frame of a red box, and says what drew it.
RENDER = """
import mujoco
from OpenGL import GL
box = "<mujoco><worldbody><light pos='0 0 3'/><geom type='box' size='.5 .5 .5' rgba='1 0 0 1'/></worldbody></mujoco>"
model = mujoco.MjModel.from_xml_string(box)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 64, 64) as renderer:
    renderer.update_scene(data)
    frame = renderer.render()
    assert frame.max() > 0, "the picture is black"
    print("drawn by", GL.glGetString(GL.GL_RENDERER).decode())
"""


class Finding(NamedTuple):
    """One line: what was looked at, whether it is well ("ok", "missing", "broken"), what was seen, what mends it."""

    what: str
    state: str
    seen: str
    fix: str


def examine(python: str) -> list[Finding]:
    """Looks at this machine, the extras, the suites and the OpenGL backends, each in a process of its own."""
    findings = [
        Finding("groot-bench", "ok", f"{version()}, Python {platform.python_version()}, {python}", ""),
        Finding("machine", "ok", _machine(), ""),
        *_groot(),
        _extra("video", "av", "av>=14", "--video"),
        _extra("steps", "pyarrow", "pyarrow>=17", "--log-steps and --policy replay"),
        _extra("gymnasium", "gymnasium", "gymnasium>=1.0", "gymnasium environments"),
    ]
    for suite in catalog.list_suites(None if python == sys.executable else python):
        well = suite["state"].startswith(catalog.READY)
        findings.append(Finding(f"suite {suite['name']}", "ok" if well else "missing", suite["state"], suite["fix"]))
    return findings + [_graphics(name, python) for name in ("egl", "osmesa")]


def _groot() -> list[Finding]:
    """Whether --ckpt can run."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return [Finding("groot", "missing", f"no {', '.join(missing)}; for --ckpt", "pip install 'groot-bench[groot]'")]
    return [Finding("groot", "ok", f"torch {importlib.metadata.version('torch')}", "")]


def to_markdown(findings: Sequence[Finding]) -> str:
    """The findings as a table."""
    lines = ["| what | state | seen | to mend it |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(finding)} |" for finding in findings])


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return f"{os.cpu_count()} cores, {memory:.1f} GiB memory, {free:.0f} GiB free on this disk"


def _extra(name: str, module: str, requirement: str, use: str) -> Finding:
    if importlib.util.find_spec(module) is not None:
        return Finding(f"extra {name}", "ok", f"{module} is installed", "")
    return Finding(f"extra {name}", "missing", f"needed for {use}", f"pip install '{requirement}'")


def _graphics(name: str, python: str) -> Finding:
    """Draws a picture with that backend, which is the only proof that it works."""
    what = f"graphics {name}"
    if sys.platform != "darwin" and not graphics.is_present(name):
        return Finding(what, "missing", f"lib{graphics.BACKENDS[name][0]} is not found", graphics.install_command(name))
    variables = {**os.environ, graphics.VARIABLE: name}
    try:
        done = subprocess.run(
            [python, "-c", RENDER],
            env=variables,
            capture_output=True,
            text=True,
            timeout=RENDER_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return Finding(what, "broken", str(problem), graphics.install_command(name))
    if done.returncode == 0:
        return Finding(what, "ok", done.stdout.strip(), "")
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if "No module named" in last:
        return Finding(what, "unknown", "mujoco is not installed, so nothing could be drawn", "see suite robosuite")
    return Finding(what, "broken", last, graphics.install_command(name))
