"""The run folder: `run.json` (what the experiment is) and `episodes.jsonl` (one finished episode a line).

A record is appended with one write and flushed to the disk before the next episode can be lost. Killed at any point,
the folder holds whole lines and at most one cut one, the last, which is dropped. Reading needs NumPy and nothing else.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groot_bench.episode import Episode, EpisodeRecord, Outcome, derive_seed
from groot_bench.errors import ManifestMismatch, RecordError
from groot_bench.provenance import differences

SCHEMA = 1
MANIFEST = "run.json"
EPISODES = "episodes.jsonl"
MAX_LINE = 1 << 20  # bytes; a record is about 1 kB, an error's traceback up to 20


@dataclass(frozen=True)
class Run:
    """A run as it lies in its folder.

    Attributes:
        folder: where.
        manifest: the content of `run.json`: schema, experiment, shard, episodes, invocations.
        records: in the order of the episode list.
    """

    folder: Path
    manifest: Mapping[str, Any]
    records: tuple[EpisodeRecord, ...]

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Reads a run folder.

        Raises:
            RecordError: it is no run folder, or a file is malformed; names file and line.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        order = {key: i for i, key in enumerate(listed_keys(manifest))}
        records = {record.episode.key: record for record in read_records(folder, manifest)}
        return cls(folder, manifest, tuple(records[key] for key in sorted(records, key=order.__getitem__)))

    @property
    def experiment(self) -> Mapping[str, Any]:
        """What the run measures; equal for shards of one run."""
        return self.manifest["experiment"]

    @property
    def expected(self) -> int:
        """How many episodes its list has (its shard's part of it)."""
        return len(listed_keys(self.manifest))

    @property
    def is_complete(self) -> bool:
        return len(self.records) == self.expected


def new_manifest(
    experiment: Mapping[str, Any],
    episodes: Sequence[Episode],
    shard: tuple[int, int],
    invocation: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of `run.json`; `episodes` is the full list, before sharding."""
    return {
        "schema": SCHEMA,
        "experiment": dict(experiment),
        "shard": list(shard),
        "episodes": [[episode.task, episode.index, episode.seed] for episode in episodes],
        "invocations": [dict(invocation)],
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """`run.json`, checked."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{folder} is not a run folder: it has no {MANIFEST}") from None
    except (OSError, ValueError) as problem:
        raise RecordError(f"{path}: cannot be read: {problem}") from None
    if not isinstance(manifest, dict) or type(manifest.get("schema")) is not int:
        raise RecordError(f"{path}: has no schema number; it is not a groot-bench manifest")
    if not 1 <= manifest["schema"] <= SCHEMA:
        raise RecordError(
            f"{path}: has schema {manifest['schema']}; this version reads 1 to {SCHEMA}: upgrade groot-bench"
        )
    try:
        _check_manifest(manifest)
    except (KeyError, TypeError, ValueError) as problem:
        raise RecordError(f"{path}: {type(problem).__name__}: {problem}") from None
    return manifest


def _check_manifest(manifest: Mapping[str, Any]) -> None:
    experiment = manifest["experiment"]
    names = (experiment["suite"]["name"], experiment["protocol"]["name"], experiment["policy"]["name"])
    if not all(isinstance(name, str) for name in names):
        raise TypeError("suite, protocol and policy need names")
    i, n = manifest["shard"]
    if not (type(i) is int and type(n) is int and 1 <= i <= n):
        raise ValueError(f"shard {i!r}/{n!r} is impossible")
    seed = experiment["seed"]
    rows = manifest["episodes"]
    if not isinstance(rows, list) or not isinstance(manifest["invocations"], list):
        raise TypeError("episodes and invocations must be lists")
    keys = set()
    for task, index, episode_seed in rows:
        if not isinstance(task, str) or type(index) is not int or index < 0:
            raise ValueError(f"episode {[task, index]!r} is impossible")
        if derive_seed(names[0], names[1], task, index, seed) != episode_seed:
            raise ValueError(f"episode {[task, index]!r} has a seed that its key does not give; the list was edited")
        keys.add((task, index))
    if len(keys) != len(rows):
        raise ValueError("an episode is listed twice")


def listed_keys(manifest: Mapping[str, Any]) -> list[tuple[str, int]]:
    """(task, index) of the episodes that a run with this manifest has to run: its shard of the list."""
    i, n = manifest["shard"]
    return [(task, index) for task, index, _ in manifest["episodes"][i - 1 :: n]]


def read_records(folder: Path, manifest: Mapping[str, Any]) -> Iterator[EpisodeRecord]:
    """The records of a run; a cut last line is dropped.

    Raises:
        RecordError: anything else that is malformed, an episode that is not listed, or one that is recorded twice.
    """
    path = folder / EPISODES
    listed = set(listed_keys(manifest))
    seen: set[tuple[str, int]] = set()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    except OSError as problem:
        raise RecordError(f"{path}: cannot be read: {problem}") from None
    with file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise RecordError(f"{path}:{number}: the line is longer than {MAX_LINE} bytes")
            if not line.endswith(b"\n"):
                return
            try:
                record = parse_record(line)
            except (KeyError, TypeError, ValueError) as problem:
                raise RecordError(f"{path}:{number}: {type(problem).__name__}: {problem}") from None
            _check_membership(record, manifest, listed, seen, f"{path}:{number}")
            yield record


def _check_membership(
    record: EpisodeRecord,
    manifest: Mapping[str, Any],
    listed: set[tuple[str, int]],
    seen: set[tuple[str, int]],
    where: str,
) -> None:
    episode = record.episode
    experiment: Mapping[str, Mapping[str, Any]] = manifest["experiment"]
    if (episode.suite, episode.protocol) != (experiment["suite"]["name"], experiment["protocol"]["name"]):
        raise RecordError(f"{where}: episode {episode} is of another suite or protocol than the run")
    if episode.key not in listed:
        raise RecordError(f"{where}: episode {episode} is not in the run's list")
    if episode.key in seen:
        raise RecordError(f"{where}: episode {episode} is recorded twice")
    seen.add(episode.key)


def parse_record(line: bytes | str) -> EpisodeRecord:
    """One line of `episodes.jsonl`; fields that a later version added are ignored."""
    flat = json.loads(line)
    if not isinstance(flat, dict):
        raise TypeError(f"expected an object, got {type(flat).__name__}")
    names = [item.name for item in dataclasses.fields(Episode)]
    episode = Episode(**{name: flat[name] for name in names})
    if not (isinstance(episode.task, str) and type(episode.index) is int and type(episode.seed) is int):
        raise TypeError("task must be text, index and seed whole numbers")
    known = {item.name: flat[item.name] for item in dataclasses.fields(EpisodeRecord)[1:] if item.name in flat}
    known["outcome"] = Outcome(flat["outcome"])
    known["success_spans"] = tuple((int(first), int(last)) for first, last in flat.get("success_spans", ()))
    for name in ("steps", "queries", "attempts"):
        if type(known.get(name, 0)) is not int:
            raise TypeError(f"{name} must be a whole number, got {known[name]!r}")
    for name in ("sim_seconds", "wall_seconds"):
        if type(known.get(name, 0.0)) not in (int, float):
            raise TypeError(f"{name} must be a number, got {known[name]!r}")
    return EpisodeRecord(episode, **known)


class RunWriter:
    """Appends records to a run folder; only one process at a time can."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Creates the folder, or opens it to go on.

        Args:
            folder: where; its parents are created.
            manifest: what is about to run, see `new_manifest`.

        Raises:
            ManifestMismatch: the folder holds another experiment.
            RecordError: it cannot be written, is in use, or holds something that is no run.
        """
        self.folder = folder
        self.path = folder / EPISODES
        self._fd = -1
        if folder.exists() and not folder.is_dir():
            raise RecordError(f"{folder} is a file, not a folder")
        if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
            raise RecordError(f"{folder} exists and is not a run folder; give another --out")
        if (folder / MANIFEST).exists():
            self.manifest = _joined(read_manifest(folder), manifest, folder)
        else:
            self.manifest = dict(manifest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as problem:
            raise RecordError(f"{folder} cannot be written: {problem.strerror or problem}") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise RecordError(
                f"{folder} is being written by another process; wait for it, or give another --out"
            ) from None
        self.done = {record.episode.key: record for record in read_records(folder, self.manifest)}
        self._end = _cut_tail(self._fd)
        if self.missing or not (folder / MANIFEST).exists():
            write_atomically(folder / MANIFEST, json.dumps(self.manifest, indent=1) + "\n")

    @property
    def missing(self) -> list[tuple[str, int]]:
        """(task, index) of the episodes that have no record yet, in the order of the list."""
        return [key for key in listed_keys(self.manifest) if key not in self.done]

    def append(self, record: EpisodeRecord) -> None:
        """Writes one record and flushes it to the disk; a write that fails leaves no part of a line behind."""
        data = (json.dumps(record.to_json(), allow_nan=False) + "\n").encode()
        try:
            written = os.pwrite(self._fd, data, self._end)
            if written != len(data):
                written += os.pwrite(self._fd, data[written:], self._end + written)  # says why, by failing
            if written != len(data):
                raise OSError(0, "the disk took only a part of the record")
            os.fdatasync(self._fd) if hasattr(os, "fdatasync") else os.fsync(self._fd)
        except OSError as problem:
            os.ftruncate(self._fd, self._end)
            raise RecordError(f"{self.path}: cannot be written: {problem.strerror or problem}") from None
        self._end += len(data)

    def drop_errors(self) -> int:
        """Removes the error records, so that their episodes run again; returns how many there were."""
        kept = [record for record in self.done.values() if record.outcome is not Outcome.ERROR]
        dropped = len(self.done) - len(kept)
        if dropped:
            lines = "".join(json.dumps(record.to_json(), allow_nan=False) + "\n" for record in kept)
            # In a copy first: a kill between truncating and writing must not lose what was measured.
            copy = self.folder / (EPISODES + ".kept")
            write_atomically(copy, lines)
            fd = os.open(copy, os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.replace(copy, self.path)
            os.close(self._fd)
            self._fd, self._end = fd, len(lines.encode())
            self.done = {record.episode.key: record for record in kept}
        return dropped

    def close(self) -> None:
        """Releases the folder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _joined(there: dict[str, Any], here: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The manifest of a folder that is gone on with: its own, and one more invocation."""
    fields = ("experiment", "shard", "episodes")
    found = differences({key: there[key] for key in fields}, {key: here[key] for key in fields})
    if "episodes" in found:
        there_keys, here_keys = there["episodes"], here["episodes"]
        found["episodes"] = (f"{len(there_keys)} listed", f"{len(here_keys)} listed")
    if found:
        raise ManifestMismatch(
            f"{folder} holds another experiment; give another --out, or the old settings. Differences:", found
        )
    return {**there, "invocations": [*there["invocations"], *here["invocations"]]}


def _cut_tail(fd: int) -> int:
    """Removes a cut last line; returns where the next record goes."""
    size = os.fstat(fd).st_size
    end = size
    while end > 0:
        start = max(0, end - 4096)
        block = os.pread(fd, end - start, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(fd, end)
    return end


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that it is there whole or not at all.

    Raises:
        RecordError: the disk is full, the folder cannot be written, ...
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise RecordError(f"{path}: cannot be written: {problem.strerror or problem}") from None
