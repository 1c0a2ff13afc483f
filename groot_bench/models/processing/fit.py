"""Whether an embodiment of a checkpoint fits a task, and which one is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groot_bench.errors import CheckpointError, SpecMismatch, UsageError
from groot_bench.models.checkpoint import Embodiment
from groot_bench.policy import Interface
from groot_bench.spec import ACTION, LANGUAGE, STATE, VIDEO, ArraySpec, Spec
from groot_bench.suite import Task


def choose(
    embodiments: Mapping[str, Embodiment], task: Task, unusable: Sequence[str] = ()
) -> tuple[Embodiment, Interface]:
    """The one embodiment that fits the task.

    Args:
        embodiments: by tag. unusable: why the checkpoint's others cannot be run at all.

    Raises:
        SpecMismatch: none does; says what keeps each from it.
        CheckpointError: one that cannot be run might have been the right one.
        UsageError: several do, so that one must be named.
    """
    problems = {tag: misfits(embodiment, task) for tag, embodiment in embodiments.items()}
    fitting = [tag for tag, found in problems.items() if not found]
    if len(fitting) > 1:
        names = ", ".join(fitting)
        raise UsageError(
            f"task {task.name!r} fits several embodiments of the checkpoint; add --embodiment with one of {names}"
        )
    if unusable:
        told = f"task {task.name!r}: add --embodiment, since embodiments of the checkpoint cannot be run"
        raise CheckpointError("\n".join([f"{told} (fitting: {', '.join(fitting) or 'none'}):", *unusable]))
    if not fitting:
        raise SpecMismatch(_explain(problems, task))
    embodiment = embodiments[fitting[0]]
    return embodiment, interface_of(embodiment, task)


def misfits(embodiment: Embodiment, task: Task) -> list[str]:
    """What keeps the embodiment from the task, in words; empty when nothing does."""
    codec = embodiment.codec
    found = []
    if embodiment.video_steps != (0,):
        found.append(f"it reads video at time steps {list(embodiment.video_steps)}; suites give the present one only")
    if codec.state_steps != 1:
        found.append(f"it reads {codec.state_steps} time steps of state; suites give the present one only")
    for key in embodiment.video_keys:
        spec = task.observation.get(VIDEO + key)
        if spec is None:
            found.append(f"camera {key!r} is missing (given: {_keys(task.observation, VIDEO)})")
        elif spec.dtype != "uint8" or len(spec.shape) != 4 or spec.shape[-1] != 3:
            found.append(f"camera {key!r} must be uint8 [1, H, W, 3], the suite gives {spec.describe()}")
    found += _vectors(codec.state_dims, task.observation, STATE, "state")
    found += _vectors(codec.action_dims, task.action, ACTION, "action")
    extra = [name for name in task.action if name.startswith(ACTION) and name[len(ACTION) :] not in codec.action_dims]
    found += [f"the suite takes {name}, which it does not return" for name in extra]
    if instruction_key(embodiment, task) is None:
        texts = ", ".join(_texts(task)) or "none"
        found.append(f"it reads the instruction {embodiment.language_key!r}; of texts the suite gives {texts}")
    return found


def instruction_key(embodiment: Embodiment, task: Task) -> str | None:
    """The suite's name of the instruction: the checkpoint's own, or the only text there is, since the name is that of a
    column of the training data and says nothing about its meaning. None where there are several others, or none."""
    texts = _texts(task)
    own = LANGUAGE + embodiment.language_key.removeprefix(LANGUAGE)
    if own in texts:
        return own
    return texts[0] if len(texts) == 1 else None


def interface_of(embodiment: Embodiment, task: Task) -> Interface:
    """What the policy reads and returns on a task that it fits.

    Units, frames and conventions are the suite's: a checkpoint does not state its own.
    """
    codec = embodiment.codec
    text = instruction_key(embodiment, task)
    assert text is not None
    names = [VIDEO + key for key in embodiment.video_keys] + [STATE + key for key in codec.state_dims] + [text]
    actions = {ACTION + key: task.action[ACTION + key] for key in codec.action_dims}
    return Interface({name: task.observation[name] for name in names}, actions, codec.horizon)


def _vectors(dims: Mapping[str, int], given: Spec, prefix: str, kind: str) -> list[str]:
    found = []
    for key, size in dims.items():
        spec = given.get(prefix + key)
        if spec is None:
            found.append(f"{kind} {key!r} ({size}) is missing (given: {_keys(given, prefix)})")
        elif not _is_vector(spec, size, steps=prefix == STATE):
            found.append(f"{kind} {key!r} has {size} numbers, the suite's is {spec.describe()}")
    return found


def _is_vector(spec: ArraySpec, size: int, *, steps: bool) -> bool:
    return spec.dtype == "float32" and spec.shape == ((1, size) if steps else (size,))


def _texts(task: Task) -> list[str]:
    return [name for name, spec in task.observation.items() if name.startswith(LANGUAGE) and spec.is_text]


def _keys(given: Spec, prefix: str) -> str:
    return ", ".join(name[len(prefix) :] for name in given if name.startswith(prefix)) or "none"


def _explain(problems: Mapping[str, Sequence[str]], task: Task) -> str:
    """The nearest embodiments first, with what keeps them from it."""
    lines = [f"no embodiment of the checkpoint fits task {task.name!r}:"]
    for tag in sorted(problems, key=lambda tag: len(problems[tag]))[:3]:
        lines += [f"  {tag}:", *(f"    {problem}" for problem in problems[tag][:12])]
    if len(problems) > 3:
        lines.append(f"  ({len(problems) - 3} more embodiments are farther off)")
    return "\n".join(lines)
