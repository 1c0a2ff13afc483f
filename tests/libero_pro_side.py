"""What tests ask of LIBERO-PRO itself; run by its suite's interpreter, where groot_bench and pytest need not be.

    python libero_pro_side.py ENVS make FOLDER COUNT        perturbs one task of LIBERO in five ways, as files
    python libero_pro_side.py ENVS words TASK ...           what LIBERO's own parser takes for the instruction
    python libero_pro_side.py ENVS scenes FOLDER            the scenes that `make` has made

prints one JSON value on its last line. What `make` writes has upstream's layout and format, but it is no part of
LIBERO-PRO: other pairs, objects, words and goals than upstream's, and start states of its own. For tests, never for
numbers.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import sys
import zipfile
from typing import Any

import numpy as np

sys.path.insert(0, sys.argv[1])

from groot_envs.libero import simulator
from groot_envs.libero.env import HOLD, Definition, LiberoEnv
from groot_envs.libero_pro import tasks

SUITE, TASK = "libero_goal", "put_the_bowl_on_the_plate"
BOWL, CHEESE = "akita_black_bowl_1", "cream_cheese_1"
PICTURE = {"width": 64, "height": 64, "shadows": False, "samples": 0}


def swap(text: str) -> str:
    """The bowl and the cheese start in each other's place."""
    starts = ("(On %s main_table_akita_black_bowl_region)", "(On %s main_table_cream_cheese_region)")
    for place, one, other in ((starts[0], BOWL, CHEESE), (starts[1], CHEESE, BOWL)):
        text = text.replace(place % one, place % other)
    return text


def other_object(text: str) -> str:
    """A yellow plate."""
    return text.replace("plate_1 - plate", "plate_1 - yellow_plate").replace("plate_1", "yellow_plate_1")


def words(text: str) -> str:
    return text.replace("Put the bowl on the plate", "The plate\u2019s place is under the bowl")


def other_task(text: str) -> str:
    """The cheese instead of the bowl."""
    text = text.replace("Put the bowl on the plate", "Put the cream cheese on the plate")
    return text.replace(f"(And (On {BOWL} plate_1))", f"(And (On {CHEESE} plate_1))")


def table(text: str) -> str:
    """The kitchen's."""
    text = text.replace("LIBERO_Tabletop_Manipulation", "LIBERO_Kitchen_Tabletop_Manipulation")
    return text.replace("main_table - table", "main_table - kitchen_table").replace("main_table", "kitchen_table")


KINDS = {"swap": swap, "object": other_object, "lan": words, "task": other_task, "env": table}


def original() -> str:
    with open(os.path.join(os.path.dirname(simulator.package.__file__), "bddl_files", SUITE, TASK + ".bddl")) as file:
        return file.read()


def make(folder: str, count: str) -> list[str]:
    """Writes bddl_files/ and init_files/ of each kind of perturbation; returns the tasks' names."""
    made = []
    for kind, perturb in KINDS.items():
        part, text = tasks.part_name(SUITE, kind), perturb(original())
        assert text != original()
        bddl, starts = (os.path.join(folder, what, part) for what in ("bddl_files", "init_files"))
        os.makedirs(bddl)
        os.makedirs(starts)
        with open(os.path.join(bddl, TASK + ".bddl"), "w", encoding="utf-8") as file:
            file.write(text)
        states = start_states(os.path.join(bddl, TASK + ".bddl"), int(count))
        with zipfile.ZipFile(os.path.join(starts, TASK + ".pruned_init"), "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(states))
        made.append(part + "/" + TASK)
    return made


def start_states(bddl: str, count: int) -> np.ndarray:
    """As upstream makes them: what a reset gives."""
    random.seed(0)
    np.random.seed(0)
    env, states = simulator.build(bddl, PICTURE, with_cameras=False), []
    for _ in range(count):
        simulator.reset(env)
        states.append(env.sim.get_state().flatten())
    env.close()
    return np.array(states)


def words_of(*names: str) -> dict[str, str]:
    found = {}
    roots = tasks_roots()
    for name in names:
        part = tasks.find_part(roots, name.partition("/")[0])
        assert part is not None
        found[name] = simulator.get_problem_info(tasks.task_files(part, name)[0])["language_instruction"]
    return found


def tasks_roots() -> list[tasks.Root]:
    package = os.path.dirname(simulator.package.__file__)
    own = tasks.Root(os.path.join(package, "bddl_files"), os.path.join(package, "init_files"))
    return [tasks.Root(*simulator.folders("libero_pro")), own]


def scenes(folder: str) -> dict[str, Any]:
    """kind -> where things are [m], what the table is, and whether the goal holds with the bowl, or the cheese, on the
    plate."""
    found = {}
    for kind in KINDS:
        place = os.path.join(folder, "{}", tasks.part_name(SUITE, kind), TASK)
        files = place.format("bddl_files") + tasks.BDDL, place.format("init_files") + tasks.STARTS
        settings = {"image": PICTURE, "cameras": [], "settle_steps": 10, "start_states": "fixed"}
        env = LiberoEnv(Definition(*files, instruction=kind), settings)
        env.reset(0, 0)
        inner, data = env._env, env._env.sim.data
        found[kind] = {
            "places": {name: list(data.body_xpos[body]) for name, body in inner.obj_body_id.items()},
            "problem": type(inner).__name__,
            "reached": {thing: _on_the_plate(env, thing) for thing in (BOWL, CHEESE)},
        }
        env.close()
    return found


def _on_the_plate(env: Any, thing: str) -> bool:
    env.reset(0, 0)
    inner = env._env
    (plate,) = (name for name in inner.objects_dict if name.endswith("plate_1"))
    joint = inner.get_object(thing).joints[-1]
    pose = np.array(inner.sim.data.get_joint_qpos(joint))
    pose[:3] = inner.object_states_dict[plate].get_geom_state()["pos"] + np.array([0.0, 0.0, 0.03])
    inner.sim.data.set_joint_qpos(joint, pose)
    inner.sim.forward()
    return any(env._execute(HOLD) for _ in range(40))


if __name__ == "__main__":
    questions = {"make": make, "words": words_of, "scenes": scenes}
    print(json.dumps(questions[sys.argv[2]](*sys.argv[3:])))  # noqa: T201
