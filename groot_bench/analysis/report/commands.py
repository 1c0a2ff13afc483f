"""The commands that make a run's numbers again, and one of its episodes.

A run that was started from a command line knows its words. Otherwise they are put together from what it measured; for
what cannot be said that way (a policy object of someone's own) there is no command.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from groot_bench.episode import Episode
from groot_bench.record import file_stem

START = ["groot-bench", "eval"]
CHOSEN = ("--task", "--first-episode", "--episodes", "--shard", "--out")  # which episodes of a run, and where to
NAMED = ("zero", "random", "expert", "replay")


def run_commands(manifest: Mapping[str, Any]) -> list[str]:
    """The commands that carried the run out, each once; put together where none was noted. May be empty."""
    words = list(dict.fromkeys(shlex.join(command) for command in _noted(manifest)))
    if words:
        return words
    rebuilt = _rebuilt(manifest)
    return [shlex.join(rebuilt)] if rebuilt else []


class EpisodeCommands:
    """The command of each episode of a run."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        words = [*_noted(manifest)[-1:], _rebuilt(manifest)][0]
        self._common = None if words is None else shlex.join(_without(CHOSEN, words))
        experiment = manifest["experiment"]
        self._names = experiment["suite"]["name"], experiment["protocol"]["name"]
        self._seeds = {(task, index): seed for task, index, seed in manifest["episodes"]}

    def command(self, task: str, index: int) -> str | None:
        """The command that runs this episode and nothing else, in a folder of its own; None where there is none.

        Its list has this one episode: an episode's seed depends on its task and index, not on the list it stands in.
        """
        if self._common is None or not task.isprintable():
            return None
        stem = file_stem(Episode(*self._names, task, index, self._seeds[task, index]))
        named = [f"--task={task}"] if task.startswith("-") else ["--task", task]
        one = [*named, "--first-episode", str(index), "--episodes", "1", "--out", f"one-{stem}"]
        return f"{self._common} {shlex.join(one)}"


def _noted(manifest: Mapping[str, Any]) -> list[list[str]]:
    """The words of the commands that the run's starts have noted, oldest first."""
    checked = (_checked(invocation.get("command")) for invocation in manifest["invocations"])
    return [command for command in checked if command]


def _checked(command: object) -> list[str] | None:
    """The words of a noted command that is one of ours; a run folder could note anything, and people paste it."""
    if not isinstance(command, str) or not command.isprintable():
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    return words if words[:2] == START else None


def _without(options: Sequence[str], words: Sequence[str]) -> list[str]:
    """The command without these options, all of which take a value, and without what they may be shortened to.

    A shortened option that fits several is refused by the command line, so that none stands in a noted command.
    """
    kept, skip = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if skip:
            skip = False
        elif len(name) > len("--") and any(option.startswith(name) for option in options):
            skip = not equals
        else:
            kept.append(word)
    return kept


def _rebuilt(manifest: Mapping[str, Any]) -> list[str] | None:
    experiment = manifest["experiment"]
    suite, protocol, policy = experiment["suite"], experiment["protocol"], experiment["policy"]
    changed = dict(protocol.get("changed") or {})
    actions, caps = changed.pop("actions_per_query", None), changed.pop("step_caps", None)
    plain = policy["name"] in NAMED[:3] and not policy.get("settings") and not changed and not policy.get("retarget")
    if not plain or "/" in suite["name"] or (caps is not None and not _one_cap(caps)):
        return None
    words = [*START, "--suite", suite["name"], "--protocol", protocol["name"], "--policy", policy["name"]]
    for task in experiment["tasks"]:
        words += ["--task", task]
    words += ["--episodes", str(protocol.get("episodes_per_task")), "--seed", str(experiment["seed"])]
    if experiment.get("first_episode"):
        words += ["--first-episode", str(experiment["first_episode"])]
    if policy.get("seed") is not None:
        words += ["--policy-seed", str(policy["seed"])]
    if actions is not None:
        words += ["--actions-per-query", str(actions)]
    if caps is not None:
        words += ["--max-steps", str(next(iter(caps.values())))]
    words += ["--unpinned"] if experiment.get("unpinned") else []
    i, n = manifest["shard"]
    words += ["--shard", f"{i}/{n}"] if n > 1 else []
    return words if all(word.isprintable() for word in words) else None


def _one_cap(caps: object) -> bool:
    return isinstance(caps, Mapping) and len(set(map(str, caps.values()))) == 1
