"""Makes layers of transformers compute their attention with `groot_bench.models.attention.attend`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from transformers import AttentionInterface

from groot_bench.errors import UnknownName
from groot_bench.models.attention import KINDS, attend

# transformers takes any name with "flash" in it for a packed kernel of its own, and then leaves out masks.
NAMES = {"sdpa": "groot_bench_sdpa", "math": "groot_bench_math", "flash": "groot_bench_fused"}


def attention_name(kind: str) -> str:
    """What `attn_implementation` of a transformers configuration has to be for that kind of attention.

    Raises:
        UnknownName: no such kind.
    """
    if kind not in NAMES:
        raise UnknownName("attention", kind, KINDS)
    return NAMES[kind]


def _hook(kind: str) -> Callable[..., tuple[Tensor, None]]:
    """An attention function as transformers calls it.

    It takes query (B, H, T, d), key and value (B, G, S, d), a bool mask or None, and returns (B, T, H, d). A layer that
    is causal gets the triangle only where no mask says more.
    """

    def run(
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        is_causal: bool | None = None,
        **_: object,
    ) -> tuple[Tensor, None]:
        causal = bool(module.is_causal if is_causal is None else is_causal) and attention_mask is None
        out = attend(query, key, value, mask=attention_mask, causal=causal, scale=scaling, kind=kind)
        return out.transpose(1, 2), None

    return run


for _kind, _name in NAMES.items():
    AttentionInterface.register(_name, _hook(_kind))
