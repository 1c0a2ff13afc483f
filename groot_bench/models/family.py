"""The three families of GR00T checkpoints, and the facts in which they differ."""

from __future__ import annotations

import enum


class Family(enum.Enum):
    """One generation of the model; the value is its name on the command line and in golden folders."""

    N15 = "n15"
    N16 = "n16"
    N17 = "n17"

    @property
    def model_type(self) -> str:
        """`model_type` in the released config.json."""
        return _MODEL_TYPES[self]

    @property
    def title(self) -> str:
        return {"n15": "GR00T N1.5", "n16": "GR00T N1.6", "n17": "GR00T N1.7"}[self.value]


_MODEL_TYPES = {Family.N15: "gr00t_n1_5", Family.N16: "Gr00tN1d6", Family.N17: "Gr00tN1d7"}
