"""Policies by their name on the command line."""

from __future__ import annotations

from pathlib import Path

from groot_bench.errors import UnknownName, UsageError
from groot_bench.models.options import ModelOptions, require_installed, share_the_cores
from groot_bench.policy import Policy
from groot_bench.protocol import Protocol
from groot_bench.suite import Suite

NAMES = ("zero", "random", "expert", "replay", "groot")


def make_policy(
    name: str,
    suite: Suite,
    protocol: Protocol,
    *,
    seed: int = 0,
    policy_seed: int = 0,
    replay: str | Path | None = None,
    ckpt: str | Path | None = None,
    model: ModelOptions | None = None,
) -> Policy:
    """The policy of that name for this suite.

    Args:
        seed: of the run.
        policy_seed: of the policy's own randomness; only `random` and `groot` have any.
        replay: the run folder whose actions `replay` plays.
        ckpt, model: the checkpoint of `groot`, and how to run it.

    Raises:
        UnknownName: there is no such policy.
        UsageError: the suite has no expert, or `replay` lacks its run, or `groot` its checkpoint.
        CheckpointError: the checkpoint cannot be used.
    """
    if name not in NAMES:
        raise UnknownName("policy", name, NAMES)
    if (name == "replay") != (replay is not None):
        raise UsageError("--policy replay and --replay RUN belong together")
    if (name == "groot") != (ckpt is not None):
        raise UsageError("--policy groot takes its checkpoint from --ckpt PATH, and no other policy has one")
    if model is not None and model.given and name != "groot":
        options = ", ".join(f"--{option.replace('_', '-')}" for option in model.given)
        raise UsageError(f"{options}: only a policy of --ckpt has these, not {name!r}")
    if name == "groot":
        require_installed()
        share_the_cores()
        from groot_bench.policies.groot import GrootPolicy

        assert ckpt is not None
        return GrootPolicy(ckpt, policy_seed, model)
    if name == "expert":
        if suite.expert is None:
            raise UsageError(f"suite {suite.name!r} has no scripted expert")
        return suite.expert()
    horizon = protocol.actions_per_query
    if name == "random":
        from groot_bench.policies.random import RandomPolicy

        return RandomPolicy(policy_seed, horizon)
    if name == "zero":
        from groot_bench.policies.zero import ZeroPolicy

        return ZeroPolicy(horizon)
    from groot_bench.policies.replay import ReplayPolicy
    from groot_bench.record import Run

    assert replay is not None
    return ReplayPolicy(Run.load(replay), horizon, (suite.name, protocol.name, seed))
