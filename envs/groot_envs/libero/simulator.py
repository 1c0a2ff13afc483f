"""LIBERO's environment object, stripped to physics: no observables, no pictures unless asked for, no hard reset.

Importing this module imports LIBERO and robosuite 1.4.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import sys
from collections import OrderedDict
from typing import Any, Mapping, Optional, Tuple

import mujoco

from groot_envs.physics import with_picture

# What `groot-bench setup` writes beside the packages: LIBERO reads its folders from a file, and asks at the terminal,
# before it can be imported at all, where there is none. An interpreter of the user's own has the user's own file.
CONFIG = os.path.join(sys.prefix, "libero_config")
if os.path.exists(os.path.join(CONFIG, "config.yaml")):
    os.environ["LIBERO_CONFIG_PATH"] = CONFIG
elif importlib.util.find_spec("libero") is not None:
    _user = os.environ.get("LIBERO_CONFIG_PATH", os.path.expanduser("~/.libero"))
    if not os.path.exists(os.path.join(_user, "config.yaml")):
        raise RuntimeError(
            "LIBERO has no %s/config.yaml; write one with `python -c 'import libero.libero'` under %s, or let "
            "`groot-bench setup` make the suite's own environment" % (_user, sys.executable)
        )

logging.disable(logging.WARNING)  # on import robosuite warns of a macro file that nothing here uses
import robosuite  # noqa: E402
from libero import libero as package  # noqa: E402
from libero.libero.envs import TASK_MAPPING  # noqa: E402
from libero.libero.envs.bddl_base_domain import BDDLBaseDomain  # noqa: E402
from libero.libero.envs.bddl_utils import get_problem_info  # noqa: E402
from robosuite.utils.errors import RandomizationError  # noqa: E402

logging.disable(logging.NOTSET)

CONTROL_HZ = 20
MAX_PLACEMENTS = 100  # tries; LIBERO's own loop has no end and swallows every other error, too


def build(
    bddl_file: str,
    picture: Mapping[str, Any],
    with_cameras: bool,
    robot: str = "Panda",
    options: Optional[Mapping[str, Any]] = None,
) -> Any:
    """LIBERO's environment of that task.

    Args:
        bddl_file: the task's definition.
        picture: "width", "height" [px], "shadows", "samples" (MSAA; 0 is off).
        with_cameras: whether pictures may be asked for; without, no GL context is ever made.
        robot, options: see `env.Definition`.
    """
    problem = get_problem_info(bddl_file)
    # What ControlEnv and OffScreenRenderEnv (envs/env_wrapper.py) hand to it, but for what is stripped.
    base = TASK_MAPPING[problem["problem_name"]]
    # LIBERO holds the name of the class against the problem that the task's file names.
    made = type(base.__name__, (Stripped, base), {"picture": picture})
    env = made(
        bddl_file,
        robots=[robot],
        controller_configs=robosuite.load_controller_config(default_controller="OSC_POSE"),
        gripper_types="default",
        initialization_noise=None,
        use_camera_obs=False,
        has_renderer=False,
        has_offscreen_renderer=with_cameras,
        control_freq=CONTROL_HZ,
        horizon=2**62,
        ignore_done=True,
        hard_reset=False,
        renderer="mujoco",
        **(options or {}),
    )
    if with_cameras and not picture["shadows"]:
        flags = env.sim._render_context_offscreen.scn.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
    return env


class SensorClock:
    """When robosuite 1.4 computes its observables, in its own arithmetic (utils/observables.py).

    They are sampled once in each control period of 25 substeps, but the period is counted from the reset in floating
    point, and each forced update counts as a substep more: after `reset` alone the last substep of a control step is
    seen, after `reset` and `set_init_state` the one before it. Policies were trained and measured on just that.
    """

    PERIOD = 1.0 / CONTROL_HZ  # [s]
    SUBSTEP = 0.002  # [s], robosuite's SIMULATION_TIMESTEP

    def __init__(self) -> None:
        self._since, self._sampled = 0.0, False

    def tick(self, force: bool) -> bool:
        """One substep (or forced update) has passed; returns whether observables are computed now."""
        self._since += self.SUBSTEP
        now = force or (not self._sampled and self._since <= self.PERIOD)
        self._sampled = self._sampled or now
        if self._since >= self.PERIOD:
            now = now or not self._sampled
            self._since %= self.PERIOD
            self._sampled = False
        return now


class Stripped:
    """A problem of LIBERO without what the harness does itself, and with a reset that keeps the model.

    It comes before the problem's class among the bases of what `build` makes.

    Attributes:
        picture: see `build`.
        clock: says when to look.
        seen, seen_rgba: MuJoCo's data, and the colors of sites, as they were then.
    """

    picture: Mapping[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.clock = SensorClock()
        super().__init__(*args, **kwargs)
        # At each load of the model LIBERO appends the samplers of open drawers and burning stoves to a list that
        # it never empties. A reset of a new environment, which loads the model twice, draws each of them twice.
        self.object_property_initializers *= 2
        self._pristine_sites = {
            thing.name: copy.deepcopy(thing.object_properties["vis_site_names"])
            for thing in [*self.fixtures, *self.objects]
        }

    def _initialize_sim(self, xml_string: Any = None) -> None:
        super()._initialize_sim(with_picture(xml_string or self.model.get_xml(), self.picture))
        self.seen = mujoco.MjData(self.sim.model._model)

    def _setup_observables(self) -> Any:
        return OrderedDict()  # `sensors.py` computes, when asked, those that are wanted

    def _update_observables(self, force: bool = False) -> None:
        """Called after each substep: keeps the state that LIBERO's observables would be computed from."""
        if self.clock.tick(force):
            mujoco.mj_copyData(self.seen, self.sim.model._model, self.sim.data._data)
            self.seen_rgba = self.sim.model.site_rgba.copy()

    def reset(self) -> None:
        """As a hard reset leaves the simulation, bit by bit, on the model and the GL context that are there."""
        for thing in [*self.fixtures, *self.objects]:
            thing.object_properties["vis_site_names"] = copy.deepcopy(self._pristine_sites[thing.name])
        for robot in self.robots:  # robosuite 1.4 forgets it only by building another gripper
            robot.gripper.current_action = robot.gripper.current_action * 0.0
        self.sim.reset()
        # A new simulation and a new GL context compute the state once each; the solver starts from the last result.
        self.sim.forward()
        self.sim.forward()
        self._reset_internal()
        self.clock = SensorClock()
        self.sim.forward()
        self.visualize(vis_settings={kind: False for kind in self._visualizations})
        self._update_observables(force=True)

    def reward(self, action: Any = None) -> float:
        return 0.0  # the success test, which `step` makes once, is all that is wanted of it

    def step(self, action: Any) -> bool:
        """One control step; returns whether the goal holds."""
        super(BDDLBaseDomain, self).step(action)
        return bool(self._check_success())


def reset(env: Any) -> None:
    """Resets as LIBERO's `ControlEnv.reset` does: again where objects found no place. Draws from both global RNGs."""
    for _ in range(MAX_PLACEMENTS):
        try:
            env.reset()
            return
        except RandomizationError:
            continue
    raise RuntimeError("the objects found no place in %d tries" % MAX_PLACEMENTS)


def restore(env: Any, state: Any) -> None:
    """Puts an initial state in, as LIBERO's `set_init_state` does: positions and velocities, and nothing else.

    Fixtures keep the pose that the reset drew, and the controller keeps its goal, the reset's arm pose: the settle
    steps that follow pull the arm towards that (reference/protocols.md 2.4). Published numbers have both effects.
    """
    expected = 1 + env.sim.model.nq + env.sim.model.nv
    if len(state) != expected:
        raise ValueError("the initial state has %d numbers, the model needs %d" % (len(state), expected))
    env.sim.set_state_from_flattened(state)
    env.sim.forward()
    env._check_success()
    env._post_process()
    env._update_observables(force=True)


def folders(suite: str) -> Tuple[str, str]:
    """The folders of BDDL files and of initial states, of the installed package.

    Raises:
        RuntimeError: the assets are not there; `suite` is the one whose set-up brings them.
    """
    # Only hf-libero has a function for its assets, for which it looks in more than one place.
    assets = package.get_assets_path() if hasattr(package, "get_assets_path") else package.get_libero_path("assets")
    if not os.path.isdir(assets):
        raise RuntimeError("LIBERO's assets are not in %s; run: groot-bench setup %s" % (assets, suite))
    return package.get_libero_path("bddl_files"), package.get_libero_path("init_states")
