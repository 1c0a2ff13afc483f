"""Denoising: from noise to actions in a few Euler steps, with everything that does not change between them done once.

Keys and values of the cross-attention depend on the observation only, scale and shift of the adaptive norms on the
time only. So the former are computed once a query (and only for the tokens that a block looks at), the latter once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from groot_bench.models.head import ActionHead, TokenSets
from groot_bench.models.inputs import Features
from groot_bench.models.transformer import KeyValue, Modulation


class Overlap(NamedTuple):
    """Real-time chunking, as N1.7's head defines it: a new chunk begins with the end of the one before.

    Attributes:
        previous: (B, P, A), the normalized earlier chunk. horizon: how many of its steps count.
        steps: how many of its last steps are pasted over the noise of the first ones.
        frozen: how many of those keep their value. ramp: rate at which the others become free.
    """

    previous: Tensor
    horizon: int
    steps: int
    frozen: int
    ramp: float


class Sampler:
    """Runs the head's inference.

    Args:
        head: with its weights; they may not change afterwards.
        steps: of Euler's method; None for the checkpoint's number.
    """

    def __init__(self, head: ActionHead, steps: int | None = None) -> None:
        self.head = head
        self.steps = steps or head.config.steps
        buckets = head.config.buckets
        self.times = [int(step / self.steps * buckets) for step in range(self.steps)]
        self._modulations: list[list[Modulation]] | None = None

    def prepare(self) -> None:
        """Computes what depends on the weights only."""
        with torch.no_grad():
            self._modulations = [self.head.model.modulations(self._time(time)) for time in self.times]

    def __call__(
        self,
        features: Features,
        state: Tensor,
        slots: Tensor,
        noise: Tensor,
        *,
        sets: TokenSets | None = None,
        overlap: Overlap | None = None,
        upstream_padding: bool = False,
        trace: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """One chunk for each row.

        Args:
            features: of the backbone, (B, L, X).
            state: normalized and padded, (B, history, S). slots: int64 (B,), rows of the embodiment tables.
            noise: standard normal, (B, T, A).
            sets: the tokens that blocks look at; worked out from the masks where None, for which a GPU waits.
            trace: receives intermediate tensors, named as in golden sets.

        Returns:
            normalized actions (B, T, A) in the model's type.
        """
        head = self.head
        encoded = head.encode(features, upstream_padding, trace)
        sources = head.sources(encoded, sets or head.token_sets(encoded, upstream_padding))
        state_token = head.encode_state(state, slots)
        if trace is not None:
            trace["encoded_state"] = state_token
        x, strength = _start(noise, overlap)
        for step in range(self.steps):
            velocity = self.velocity(step, x, state_token, slots, sources, trace)
            x = x + (velocity if strength is None else velocity * strength) / self.steps
        return x

    def velocity(
        self,
        step: int,
        x: Tensor,
        state: Tensor,
        slots: Tensor,
        sources: list[KeyValue | None],
        trace: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """The velocity at one step.

        Args:
            x: actions so far, (B, T, A). state: encoded, (B, 1, D). sources: see `ActionHead.sources`.

        Returns:
            (B, T, A).
        """
        if self._modulations is None:
            self.prepare()
        assert self._modulations is not None
        head = self.head
        encoder = head.action_encoder
        actions = encoder.encode(x, encoder.time_term(self.times[step], slots), slots)
        out = head.model(head.tokens(state, actions), sources, self._modulations[step])
        velocity = head.action_decoder(out[:, -x.shape[1] :], slots)
        if trace is not None:
            names = {"x": x, "action_tokens": actions, "dit_out": out, "velocity": velocity}
            trace.update({f"{name}.{step}": tensor for name, tensor in names.items()})
        return velocity

    def _time(self, time: int) -> Tensor:
        return torch.tensor([time], device=self.head.model.proj_out_1.weight.device)


def _start(noise: Tensor, overlap: Overlap | None) -> tuple[Tensor, Tensor | None]:
    """Where denoising starts, and how strongly each control step moves, (1, T, 1), or None for fully."""
    if overlap is None:
        return noise, None
    count, frozen = overlap.steps, overlap.frozen
    x = noise.clone()
    x[:, :count] = overlap.previous[:, overlap.horizon - count : overlap.horizon].to(x)
    rise = 1 - torch.exp(-overlap.ramp * torch.linspace(0.0, 1.0, count - frozen + 2, device=x.device))
    strength = torch.ones(1, x.shape[1], 1, device=x.device)
    strength[:, :frozen] = 0.0
    strength[:, frozen:count, 0] = (rise / rise[-1].clamp_min(1e-8))[1:-1]
    return x, strength.to(x)
