"""The environment side of the toy suite; plain NumPy."""

from typing import Dict, Mapping, NamedTuple, Sequence

import numpy as np

from groot_envs.toy.tasks import COINS, FIRST_STEP, FRAME, LAST_STEP

REACHED = 0.02  # table widths; the goal is reached within this distance
STRIDE = 0.05  # table widths that an action of 1 moves in one control step


class Step(NamedTuple):
    success: bool
    ended: bool


class Reach:
    """A point on a unit table has to reach a goal that only the cameras (and the expert) see."""

    def reset(self, seed: int, index: int) -> str:
        rng = np.random.Generator(np.random.PCG64(seed))
        self.position = rng.uniform(0.1, 0.4, 2)
        self.goal = rng.uniform(0.6, 0.9, 2)
        return "move the red point to the green point"

    def scene(self) -> Mapping[str, np.ndarray]:
        return {"position": self.position, "goal": self.goal}

    def observe(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        makers = {
            "state.position": lambda: self.position.astype(np.float32)[None],
            "privileged.goal": lambda: self.goal[None].copy(),
            "video.top": lambda: self._picture(1.0)[None],
            "video.far": lambda: self._picture(0.5)[None],
        }
        return {name: makers[name]() for name in names}

    def step(self, action: Mapping[str, np.ndarray]) -> Step:
        self.position = np.clip(self.position + STRIDE * np.clip(action["action.move"].astype(float), -1, 1), 0, 1)
        return Step(bool(np.linalg.norm(self.position - self.goal) < REACHED), False)

    def close(self) -> None:
        pass

    def _picture(self, zoom: float) -> np.ndarray:
        picture = np.full((FRAME, FRAME, 3), 40, np.uint8)
        for place, color in ((self.goal, (0, 200, 0)), (self.position, (200, 0, 0))):
            x, y = (0.5 + zoom * (place - 0.5)) * (FRAME - 4)
            picture[int(y) : int(y) + 4, int(x) : int(x) + 4] = color
        return picture


class Coin:
    """Succeeds with a known chance, at a step drawn uniformly, if the policy pushes then; fails at the cap otherwise.

    The shape of real suites: successes are short, failures last until the cap.
    """

    def __init__(self, chance: float) -> None:
        self._chance = chance

    def reset(self, seed: int, index: int) -> str:
        rng = np.random.Generator(np.random.PCG64(seed))
        lucky = rng.random() < self._chance
        when = int(rng.integers(FIRST_STEP, LAST_STEP + 1))
        self._when = when if lucky else -1
        self._steps = 0
        self._pressure = 0.0
        return "push the button until the light turns on"

    def scene(self) -> Mapping[str, np.ndarray]:
        return {"when": np.array([self._when])}

    def observe(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        light = 255 if 0 < self._when <= self._steps else 0
        makers = {
            "state.pressure": lambda: np.array([[self._pressure]], np.float32),
            "video.top": lambda: np.full((1, FRAME, FRAME, 3), light, np.uint8),
            "video.far": lambda: np.full((1, FRAME, FRAME, 3), light // 2, np.uint8),
        }
        return {name: makers[name]() for name in names}

    def step(self, action: Mapping[str, np.ndarray]) -> Step:
        self._steps += 1
        self._pressure = float(np.clip(action["action.push"][0], 0, 1))
        return Step(0 < self._when <= self._steps and self._pressure > 0.5, False)

    def close(self) -> None:
        pass


def make_env(task: str, settings: Dict[str, object]):
    """The environment of a toy task."""
    return Coin(COINS[task]) if task in COINS else Reach()
