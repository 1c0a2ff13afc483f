"""A checkpoint report as a Markdown page and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from groot_bench.models.config import ModelConfig
from groot_bench.models.inspection import CheckpointReport, Expectation, examine
from groot_bench.models.inspection_embodiments import EmbodimentReport
from groot_bench.summary import cell

__all__ = ["CheckpointReport", "Expectation", "examine", "to_json", "to_markdown"]


def to_json(report: CheckpointReport) -> dict[str, Any]:
    """The report as plain JSON values."""
    return {
        "folder": str(report.folder),
        "family": report.family.value if report.family else None,
        "model": _facts(report.model) if report.model else None,
        "backbone_sizes": "backbone_config.json" if report.own_backbone else "released",
        "files": [{"name": name, "bytes": size} for name, size in report.files],
        "parts": [
            {
                "name": part.name,
                "tensors": part.tensors,
                "parameters": part.parameters,
                "bytes": part.nbytes,
                "dtypes": list(part.dtypes),
            }
            for part in report.parts
        ],
        "embodiments": [_embodiment(one) for one in report.embodiments],
        "tokenizer": str(report.tokenizer) if report.tokenizer else None,
        "ignored": list(report.ignored),
        "digest": report.digest,
        "problems": list(report.problems),
    }


def to_markdown(report: CheckpointReport) -> str:
    """The report as a Markdown page; text from the checkpoint cannot break it."""
    lines = [f"# {report.family.title if report.family else 'Unknown'} checkpoint", "", *_summary(report)]
    if report.parts:
        lines += ["", *_parts(report)]
    if report.embodiments:
        lines += ["", *_embodiments(report.embodiments)]
    if any(one.modalities for one in report.embodiments):
        lines += ["", *_modalities(report.embodiments)]
    return "\n".join([*lines, "", *_problems(report)]) + "\n"


def _facts(model: ModelConfig) -> dict[str, Any]:
    head, body = model.head, model.backbone
    return {
        "horizon": head.horizon,
        "state_dim": head.state_dim,
        "action_dim": head.action_dim,
        "denoising_steps": head.steps,
        "embodiment_slots": head.embodiments,
        "head": {"layers": head.dit.layers, "width": head.width, "future_tokens": head.future_tokens},
        "vl_attention_layers": head.vl_attention.layers if head.vl_attention else 0,
        "language": {"layers": body.text.layers, "width": body.text.width, "vocabulary": body.text.vocabulary},
        "vision": {"layers": body.vision.layers, "width": body.vision.width, "patch": body.vision.patch},
    }


def _embodiment(one: EmbodimentReport) -> dict[str, Any]:
    return {
        "tag": one.tag,
        "name": one.name,
        "slot": one.slot,
        "modalities": {
            name: {"keys": list(part.keys), "steps": None if part.steps is None else list(part.steps)}
            for name, part in one.modalities.items()
        },
        "statistics": {group: list(keys) for group, keys in one.statistics.items()},
    }


def _summary(report: CheckpointReport) -> list[str]:
    lines = [f"folder: `{report.folder}`"]
    if report.model:
        head, body = report.model.head, report.model.backbone
        lines += [
            f"action head: {head.dit.layers} layers of width {head.width}, horizon {head.horizon}, state "
            f"{head.state_dim}, action {head.action_dim}, {head.steps} denoising steps, {head.embodiments} slots"
            + (f", {head.vl_attention.layers} layers of self-attention before it" if head.vl_attention else ""),
            f"backbone: {body.text.layers} language layers of width {body.text.width}, {body.vision.layers} vision "
            f"layers of width {body.vision.width} "
            + ("(sizes from backbone_config.json)" if report.own_backbone else "(the released model's sizes)"),
        ]
    if report.files:
        size = sum(size for _, size in report.files)
        lines.append(f"weights: {_bytes(size)} in {', '.join(name for name, _ in report.files)}")
    if report.digest:
        lines.append(f"digest of the weights: {report.digest}")
    lines.append(f"tokenizer: {report.tokenizer or 'none in the folder'}")
    if report.ignored:
        lines.append(f"ignored: {', '.join(report.ignored)}")
    return [f"- {cell(line)}" for line in lines]


def _parts(report: CheckpointReport) -> list[str]:
    rows = [
        (part.name, part.tensors, f"{part.parameters:,}", _bytes(part.nbytes), ", ".join(part.dtypes))
        for part in report.parts
    ]
    return _table(("part", "tensors", "parameters", "size", "types"), rows)


def _embodiments(embodiments: Sequence[EmbodimentReport]) -> list[str]:
    rows = [
        (
            one.tag,
            one.name or "",
            "none" if one.slot is None else one.slot,
            "yes" if one.modalities else "no",
            ", ".join(f"{group} ({len(keys)})" for group, keys in one.statistics.items()) or "none",
        )
        for one in embodiments
    ]
    return _table(("embodiment", "name", "slot", "modalities", "statistics (keys)"), rows)


def _modalities(embodiments: Sequence[EmbodimentReport]) -> list[str]:
    rows = [
        (one.tag, name, ", ".join(part.keys), "not saved" if part.steps is None else steps_text(part.steps))
        for one in embodiments
        for name, part in one.modalities.items()
    ]
    return _table(("embodiment", "modality", "keys", "time steps"), rows)


def steps_text(steps: Sequence[int]) -> str:
    """Time steps in short: "0 to 15" for a run of five or more, else each."""
    if len(steps) >= 5 and list(steps) == list(range(steps[0], steps[0] + len(steps))):
        return f"{steps[0]} to {steps[-1]}"
    return ", ".join(map(str, steps))


def _problems(report: CheckpointReport) -> list[str]:
    if not report.problems:
        return ["Nothing is wrong."]
    lines = ["What is wrong:", ""]
    for problem in report.problems:
        first, *more = problem.splitlines() or [""]
        lines += [
            f"- {cell(first)}",
            *(f"  {'  ' if line.startswith('    ') else ''}- {cell(line.strip())}" for line in more),
        ]
    return lines


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return lines + [f"| {' | '.join(cell(str(item)) for item in row)} |" for row in rows]


def _bytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.2f} MB"
