"""Which OpenGL backend a simulator renders with, and whether its library is there."""

from __future__ import annotations

import ctypes.util
import os
import sys
from collections.abc import Mapping

from groot_bench.errors import SuiteNotReady, UnknownName

VARIABLE = "MUJOCO_GL"

# backend -> (library, Debian packages that bring it and a software driver)
BACKENDS = {
    "egl": ("EGL", "libegl1 libgl1-mesa-dri"),
    "osmesa": ("OSMesa", "libosmesa6"),
    "glfw": ("GL", "libgl1 libgl1-mesa-dri"),
}


def backend(variables: Mapping[str, str]) -> str | None:
    """The backend that a worker with these variables uses (the user's own MUJOCO_GL wins); None: it renders nothing."""
    return os.environ.get(VARIABLE) or variables.get(VARIABLE)


def install_command(name: str) -> str:
    """The command that brings a backend's library on Debian and Ubuntu."""
    return f"apt-get install -y {BACKENDS[name][1]}"


def is_present(name: str) -> bool:
    """Whether the backend's library can be found."""
    return sys.platform == "darwin" or ctypes.util.find_library(BACKENDS[name][0]) is not None


def require(name: str) -> None:
    """Raises unless the backend's library is there.

    Raises:
        UnknownName: MUJOCO_GL names no backend.
        SuiteNotReady: the library is missing; names the package to install.
    """
    if name not in BACKENDS:
        raise UnknownName(f"OpenGL backend in {VARIABLE}", name, BACKENDS)
    if not is_present(name):
        other = [one for one in ("egl", "osmesa") if one != name and is_present(one)]
        hint = f", or set {VARIABLE}={other[0]}" if other else ""
        raise SuiteNotReady(
            f"the OpenGL library lib{BACKENDS[name][0]} for {VARIABLE}={name} is missing: run "
            f"`{install_command(name)}` (as root){hint}, or use --cameras none for state-only runs"
        )
