"""Scaled dot-product attention, the one place where its kernel is chosen."""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from groot_bench.errors import UnknownName, UsageError

KINDS = ("sdpa", "math", "flash")


def require_kind(kind: str, device: torch.device, dtype: torch.dtype) -> None:
    """Raises UsageError unless this kind of attention can run on that device with that type.

    "sdpa" is torch's own choice of kernel, "math" its plain definition, "flash" the flash-attn package, which serves
    where nothing is masked; masked attention stays with torch.
    """
    if kind not in KINDS:
        raise UnknownName("attention", kind, KINDS)
    if kind != "flash":
        return
    if importlib.util.find_spec("flash_attn") is None:
        raise UsageError("--attn flash needs the flash-attn package, which is not installed; use --attn sdpa")
    if device.type != "cuda" or dtype not in (torch.float16, torch.bfloat16):
        raise UsageError(f"--attn flash needs a CUDA device and --dtype bfloat16, got {device.type} and {dtype}")


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    kind: str = "sdpa",
) -> Tensor:
    """softmax(scale * query key^T) value.

    Args:
        query: (B, H, T, d). key, value: (B, G, S, d), where G divides H (grouped heads).
        mask: bool, broadcastable to (B, H, T, S), True where a query may look; one that may look nowhere
            gets zeros.
        causal: whether query t sees keys 0..t only; not together with a mask.
        scale: 1 / sqrt(d) where None.
        kind: one of `KINDS`.

    Returns:
        (B, H, T, d); zeros where there is no key at all.
    """
    if key.shape[2] == 0:
        return torch.zeros_like(query)
    grouped = query.shape[1] != key.shape[1]
    if kind == "flash" and mask is None:
        return _flash(query, key, value, causal, scale)
    if kind == "math":
        with sdpa_kernel(SDPBackend.MATH):
            out = _sdpa(query, key, value, mask, causal, scale, grouped)
    else:
        out = _sdpa(query, key, value, mask, causal, scale, grouped)
    if mask is None:
        return out
    return torch.where(mask.any(dim=-1, keepdim=True), out, torch.zeros((), dtype=out.dtype, device=out.device))


def _sdpa(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float | None, grouped: bool
) -> Tensor:
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=grouped
    )


def _flash(query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float | None) -> Tensor:
    from flash_attn import flash_attn_func  # an optional package, for CUDA only

    parts = (tensor.transpose(1, 2) for tensor in (query, key, value))
    return flash_attn_func(*parts, softmax_scale=scale, causal=causal).transpose(1, 2)
