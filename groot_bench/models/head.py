"""The flow-matching action head: one implementation of what N1.5, N1.6 and N1.7 have in common, and of what differs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from groot_bench.models.config import HeadConfig
from groot_bench.models.embodiment_layers import ActionEncoder, EmbodimentMLP
from groot_bench.models.family import Family
from groot_bench.models.inputs import Features
from groot_bench.models.tokens import TokenSet, pick
from groot_bench.models.transformer import Attention, DiT, KeyValue, SelfAttentionStack


class TokenSets(NamedTuple):
    """What the cross-attention blocks look at: text and image tokens, or all of them (then both are the same)."""

    text: TokenSet
    image: TokenSet


class Loss(NamedTuple):
    """The training loss and how it came about, named as in `golden` sets."""

    loss: Tensor
    action_loss: Tensor
    state_features: Tensor
    t: Tensor
    t_discretized: Tensor
    noisy_action: Tensor
    velocity_pred: Tensor
    velocity_target: Tensor


class ActionHead(nn.Module):
    """Features, state and noise -> actions.

    Its submodules have the names of the released checkpoints (prefix `action_head.`). Weights are not initialized:
    they come from a checkpoint, or from `tiny`.

    The originals of N1.5 and N1.7 let padding be attended to. Here a `Features.mask` is honored everywhere, unless
    `upstream_padding` asks for the originals' batches.
    """

    def __init__(self, family: Family, config: HeadConfig, attn: str = "sdpa") -> None:
        super().__init__()
        self.family, self.config = family, config
        count, width = config.embodiments, config.width
        self.state_encoder = EmbodimentMLP(count, config.state_dim * config.state_history, config.hidden, width)
        self.action_encoder = ActionEncoder(count, config.action_dim, width)
        self.action_decoder = EmbodimentMLP(count, config.hidden, config.hidden, config.action_dim)
        self.model = DiT(config.dit)
        if config.positions:
            self.position_embedding = nn.Embedding(config.positions, width)
        if config.future_tokens:
            self.future_tokens = nn.Embedding(config.future_tokens, width)
        if config.vl_norm:
            self.vlln = nn.LayerNorm(config.features, eps=1e-5)
        if config.vl_attention is not None:
            self.vl_self_attention = SelfAttentionStack(config.vl_attention)
        if config.mask_token:
            self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        for module in self.modules():
            if isinstance(module, Attention):
                module.kind = attn

    def encode(
        self, features: Features, upstream_padding: bool = False, trace: dict[str, Tensor] | None = None
    ) -> Features:
        """The features after the head's own norm and self-attention."""
        hidden = self.vlln(features.hidden) if self.config.vl_norm else features.hidden
        if trace is not None:
            trace["vl_after_vlln"] = hidden
        if self.config.vl_attention is not None:
            hidden = self.vl_self_attention(hidden, None if upstream_padding else features.mask)
        if trace is not None:
            trace["vl_after_self_attention"] = hidden
        return features._replace(hidden=hidden)

    def token_sets(self, features: Features, upstream_padding: bool = False) -> TokenSets:
        """What each kind of cross-attention block looks at."""
        if not self.config.text_every:
            mask = None if upstream_padding else features.mask
            return TokenSets(TokenSet(None, mask), TokenSet(None, mask))
        valid = torch.ones_like(features.image_mask) if features.mask is None else features.mask
        return TokenSets(pick(~features.image_mask & valid), pick(features.image_mask & valid))

    def sources(self, features: Features, sets: TokenSets) -> list[KeyValue | None]:
        """Keys and values of each block from encoded features; None for self-attention blocks."""
        hidden = [kind.take(features.hidden) for kind in sets]
        found: list[KeyValue | None] = []
        for index, block in enumerate(self.model.blocks):
            if not self.config.dit.is_cross(index):
                found.append(None)
                continue
            image = bool(self.config.text_every) and index % (2 * self.config.text_every) != 0
            found.append(block.attn1.keys(hidden[image], sets[image].mask))
        return found

    def encode_state(self, state: Tensor, slots: Tensor) -> Tensor:
        """(B, history, S) -> (B, 1, D)."""
        return self.state_encoder(state.flatten(1).unsqueeze(1), slots)

    def tokens(self, state: Tensor, actions: Tensor) -> Tensor:
        """Encoded state (B, 1, D) and action tokens (B, T, D) as the transformer's input (B, N, D)."""
        if self.config.positions:
            actions = actions + self.position_embedding.weight[: actions.shape[1]]
        parts = [state, actions]
        if self.config.future_tokens:
            parts.insert(1, self.future_tokens.weight.unsqueeze(0).expand(len(state), -1, -1))
        return torch.cat(parts, dim=1)

    def velocity(
        self, state: Tensor, actions: Tensor, times: Tensor, slots: Tensor, sources: list[KeyValue | None]
    ) -> Tensor:
        """The straightforward evaluation at discrete times int64 (B,): everything is computed anew.

        Args:
            state: encoded, (B, 1, D). actions: noised, (B, T, A).

        Returns:
            (B, T, A).
        """
        tokens = self.tokens(state, self.action_encoder(actions, times, slots))
        out = self.model(tokens, sources, self.model.modulations(times))
        return self.action_decoder(out[:, -actions.shape[1] :], slots)

    def sample_time(self, beta: Tensor) -> Tensor:
        """Continuous training times from draws of Beta(alpha, beta); 0 is pure noise, 1 the action.

        N1.5 mirrors the draw at noise_s (and may fall a hair below 0), the later families scale it.
        """
        s = self.config.noise_s
        return (s - beta) / s if self.family is Family.N15 else (1 - beta) * s

    def loss(
        self,
        features: Features,
        state: Tensor,
        slots: Tensor,
        action: Tensor,
        action_mask: Tensor,
        noise: Tensor,
        beta: Tensor,
        *,
        dropped: Tensor | None = None,
        upstream_padding: bool = False,
    ) -> Loss:
        """The flow-matching loss of a batch; all randomness but dropout is an argument.

        Args:
            features: of the backbone. state: (B, history, S). slots: int64 (B,).
            action, action_mask: normalized and padded targets (B, T, A), 1 where the loss counts.
            noise: standard normal (B, T, A). beta: draws of Beta(beta_alpha, beta_beta), (B,).
            dropped: bool (B,), rows whose state is dropped; None for no row.
        """
        encoded = self.encode(features, upstream_padding)
        sources = self.sources(encoded, self.token_sets(encoded, upstream_padding))
        state_features = self._drop(self.encode_state(state, slots), dropped)
        t = self.sample_time(beta)
        wide = t[:, None, None]
        noisy, target = (1 - wide) * noise + wide * action, action - noise
        times = (t * self.config.buckets).long()
        predicted = self.velocity(state_features, noisy, times, slots, sources)
        action_loss = functional.mse_loss(predicted, target, reduction="none") * action_mask
        count = action_mask.sum() + (0.0 if self.family is Family.N15 else 1e-6)
        return Loss(action_loss.sum() / count, action_loss, state_features, t, times, noisy, predicted, target)

    def _drop(self, state: Tensor, dropped: Tensor | None) -> Tensor:
        """Dropped rows become the learned token (N1.6), or zero."""
        if dropped is None:
            return state
        other = self.mask_token if self.config.mask_token else torch.zeros_like(state)
        return torch.where(dropped[:, None, None], other, state)
