"""Layers with one set of weights for each embodiment, picked row by row."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Of the 128 frequencies of the time embedding one, exp(-0.7252244), lies within 0.006 of its last place from the middle
# between two float32 numbers. The originals' numbers were made where it is rounded up; this much tips it, and no other.
NEARLY_A_TIE = 4.5e-10


class EmbodimentLinear(nn.Module):
    """y = x W[e] + b[e]; weights are stored (embodiments, in, out), the transpose of `nn.Linear`'s."""

    def __init__(self, embodiments: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(embodiments, inputs, outputs))
        self.b = nn.Parameter(torch.empty(embodiments, outputs))

    def forward(self, x: Tensor, slots: Tensor) -> Tensor:
        """x (B, T, in), slots int64 (B,) -> (B, T, out)."""
        return torch.baddbmm(self.b[slots].unsqueeze(1), x, self.W[slots])


class EmbodimentMLP(nn.Module):
    """Two layers with a ReLU between them."""

    def __init__(self, embodiments: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layer1 = EmbodimentLinear(embodiments, inputs, hidden)
        self.layer2 = EmbodimentLinear(embodiments, hidden, outputs)

    def forward(self, x: Tensor, slots: Tensor) -> Tensor:
        return self.layer2(functional.relu(self.layer1(x, slots)), slots)


class ActionEncoder(nn.Module):
    """Noised actions and their time -> one token for each control step."""

    def __init__(self, embodiments: int, action_dim: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.W1 = EmbodimentLinear(embodiments, action_dim, width)
        self.W2 = EmbodimentLinear(embodiments, 2 * width, width)
        self.W3 = EmbodimentLinear(embodiments, width, width)

    def forward(self, actions: Tensor, times: Tensor, slots: Tensor) -> Tensor:
        """actions (B, T, A), discrete times int64 (B,), slots int64 (B,) -> (B, T, D)."""
        embedded = self.W1(actions, slots)
        when = time_waves(times, self.width).to(embedded.dtype).unsqueeze(1).expand_as(embedded)
        return self.W3(functional.silu(self.W2(torch.cat([embedded, when], dim=-1), slots)), slots)

    def time_term(self, time: int, slots: Tensor) -> Tensor:
        """What the time adds before the nonlinearity, the same for all control steps: (B, 1, D)."""
        weight = self.W2.W[slots, self.width :]
        when = time_waves(torch.full_like(slots, time), self.width).to(weight.dtype).unsqueeze(1)
        return torch.baddbmm(self.W2.b[slots].unsqueeze(1), when, weight)

    def encode(self, actions: Tensor, time_term: Tensor, slots: Tensor) -> Tensor:
        """As `forward`, with `time_term` computed before."""
        mixed = torch.bmm(self.W1(actions, slots), self.W2.W[slots, : self.width]) + time_term
        return self.W3(functional.silu(mixed), slots)


def time_waves(times: Tensor, width: int) -> Tensor:
    """float32 (B, width): sines, then cosines, of the times at width / 2 frequencies from 1 down to almost 1e-4."""
    half = width // 2
    rate = torch.tensor(10000.0).log() / half
    return torch.cat(sines_cosines(times, -torch.arange(half, dtype=torch.float32) * rate), dim=-1)


def sines_cosines(times: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine of times x exp(exponent), float32 (B, n) each.

    All is float32 as in the originals, but the frequencies are rounded once from float64: torch's float32 `exp` is not
    rounded correctly and differs between processors, and at time 750 one rounding of a frequency moves a sine by 2e-5
    and the head's output by 1e-2.
    """
    frequencies = (exponent.double().exp() * (1 + NEARLY_A_TIE)).float().to(times.device)
    angles = times.to(torch.float32).unsqueeze(-1) * frequencies
    return angles.sin(), angles.cos()
