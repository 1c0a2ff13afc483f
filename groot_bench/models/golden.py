"""This implementation beside recorded numbers of another one: `groot-bench ckpt golden DIR`.

A golden folder has a subfolder for each family (n15/, n16/, n17/), or is one of them: a tiny checkpoint, and files with
inputs and the outputs that the originals gave for them. Every recorded output is compared; there are no optional ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

from groot_bench.errors import CheckpointError, GrootBenchError
from groot_bench.models.difference import Difference
from groot_bench.models.golden_backbone import compare_backbone
from groot_bench.models.golden_end_to_end import compare_end_to_end
from groot_bench.models.golden_files import golden_model
from groot_bench.models.golden_head import compare_head, compare_training
from groot_bench.models.golden_image import compare_images
from groot_bench.models.golden_processor import compare_processor
from groot_bench.models.golden_prompt import compare_prompts


def golden_folders(folder: Path) -> list[Path]:
    """The families' folders in a golden folder.

    Raises:
        CheckpointError: there are none.
    """
    candidates = [folder, *(sorted(folder.iterdir()) if folder.is_dir() else ())]
    found = [candidate for candidate in candidates if (candidate / "checkpoint" / "config.json").is_file()]
    if not found:
        raise CheckpointError(f"{folder} is no golden folder: neither it nor a subfolder has checkpoint/config.json")
    return found


def compare(folder: Path, tokenizer: str | None = None) -> Iterator[Difference]:
    """Every recorded output of one family's folder; a part that cannot be compared at all is infinitely far.

    Args:
        tokenizer: folder or hub id of the family's real tokenizer. Without one, token ids of text are not compared.
    """
    try:
        model = golden_model(folder)
    except GrootBenchError as problem:
        yield Difference("checkpoint", str(problem), math.inf, 0.0)
    else:
        yield from _guarded("backbone.safetensors", lambda: compare_backbone(folder, lambda *_: model.backbone))
        yield from _guarded("head.safetensors", lambda: compare_head(folder, model.action_head))
        yield from _guarded("train.safetensors", lambda: compare_training(folder, model.action_head))
        yield from _guarded("end_to_end.safetensors", lambda: compare_end_to_end(folder, model))
    yield from _guarded("processor.npz", lambda: compare_processor(folder))
    yield from _guarded("image.npz", lambda: compare_images(folder))
    yield from _guarded("prompt.json", lambda: compare_prompts(folder, tokenizer))


def to_markdown(name: str, differences: list[Difference], every: bool) -> str:
    """A table: each field, or the worst of each file and all that are over their limit."""
    lines = [f"### {name}", "", "| file | field | max difference | tolerance | |", "|---|---|---|---|---|"]
    shown = differences if every else _worst(differences)
    lines += [
        f"| {line.file} | {line.field} | {line.difference:.1e} | {line.tolerance:.1e} | {'' if line.ok else 'OVER'} |"
        for line in shown
    ]
    over = sum(not line.ok for line in differences)
    lines += ["", f"{len(differences)} fields, {over} over their tolerance", ""]
    return "\n".join(lines)


def to_json(line: Difference) -> dict[str, object]:
    """Infinity has no JSON form: null."""
    finite = math.isfinite(line.difference)
    return {**line._asdict(), "difference": line.difference if finite else None, "ok": line.ok}


def _worst(differences: list[Difference]) -> list[Difference]:
    """Of each file the field that comes nearest to its limit, and all that are over theirs."""
    worst: dict[str, Difference] = {}
    for line in differences:
        if line.file not in worst or _share(line) > _share(worst[line.file]):
            worst[line.file] = line
    return [line for line in differences if not line.ok or line is worst[line.file]]


def _share(line: Difference) -> float:
    if line.difference == 0:
        return 0.0
    return line.difference / line.tolerance if line.tolerance > 0 else math.inf


def _guarded(file: str, compare_file: Callable[[], Iterator[Difference]]) -> Iterator[Difference]:
    """What a recorded file lacks or has in another shape shows up in the middle of a computation, as torch puts it."""
    try:
        yield from compare_file()
    except (GrootBenchError, LookupError, RuntimeError, TypeError, ValueError) as problem:
        yield Difference(file, f"{type(problem).__name__}: {problem}", math.inf, 0.0)
