"""Makes the regression vectors: `python tests/regression/make.py [FOLDER]`; without a folder, those beside this file.

One file for each family holds what this implementation computed, with a tiny checkpoint of a made-up suite, when it
agreed with the originals. Only outputs are stored: weights and inputs come from seeds. Make them anew only after a
change of results that is meant, and compare with the originals' numbers before (`groot-bench ckpt golden`).
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from groot_bench.models.checkpoint import Checkpoint, open_model
from groot_bench.models.collate import Row, collate
from groot_bench.models.engine import Engine
from groot_bench.models.family import Family
from groot_bench.models.head import ActionHead
from groot_bench.models.inputs import Features
from groot_bench.models.model import Gr00t
from groot_bench.models.processing.processor import Processor, image_transform
from groot_bench.models.processing.tokenizer import load_tokenizer
from groot_bench.models.sampler import Overlap, Sampler
from groot_bench.models.tiny import write_tiny
from groot_bench.protocol import Protocol
from groot_bench.quantile import normal_quantile
from groot_bench.spec import ArraySpec
from groot_bench.suite import Suite, Task

HERE = Path(__file__).resolve().parent
SEED = 20
BATCH, TOKENS = 3, 21
FIRST_TOKENS = (0, 4, 7)  # where each row of the made-up features begins; padding stands before it
INSTRUCTIONS = ("Put the red cube into the bowl.", "Lift it!", "open the top drawer, then close it")
PICTURE = (48, 64)  # height and width
# Of each camera's pictures. N1.5 cuts off the fractions of what it resized, so that on flat areas the last bit of a
# float32 decides a grey level; of 59 pixels its crop leaves the 56 that the model reads, and nothing is resized.
FRAMES = {Family.N15: ((59, 59), (59, 59)), Family.N16: (PICTURE, (80, 80)), Family.N17: (PICTURE, (80, 80))}

Vectors = dict[str, np.ndarray]


def made_up_suite() -> Suite:
    """Two robots: one with a relative action, angles and two cameras, and a plain one."""
    frame = {f"video.camera{index}": ArraySpec((1, *PICTURE, 3), "uint8", "rgb") for index in range(2)}
    text = {"annotation.human.task_description": ArraySpec((), "str", "text")}
    place = {"state.place": ArraySpec((1, 2), unit="table", low=0, high=1)}
    rest = {"state.turn": ArraySpec((1, 3), unit="rad"), "state.speed": ArraySpec((1, 2), low=-2)}
    move = {"action.move": ArraySpec((2,), low=-1, high=1)}
    tasks = (
        Task("Reach", {**frame, **place, **rest, **text}, {**move, "action.grip": ArraySpec((1,), low=0, high=1)}),
        Task("Push", {"video.camera0": frame["video.camera0"], "state.turn": rest["state.turn"], **text}, move),
    )
    protocol = Protocol("made_up/v1", "sampled", {task.name: 10 for task in tasks}, 8, 1, 20.0)
    return Suite("made_up", 1, {task.name: task for task in tasks}, {protocol.name: protocol}, "nowhere:make_env")


def uniform(name: str, *shape: int) -> np.ndarray:
    """float64 in (0, 1), keyed by name."""
    key = hashlib.blake2b(f"{SEED} {name}".encode(), digest_size=16).digest()
    words = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(int(np.prod(shape)))
    return (((words >> np.uint64(11)) + 0.5) * 2.0**-53).reshape(shape)


def normal(name: str, *shape: int) -> np.ndarray:
    """float32, standard normal, keyed by name."""
    return normal_quantile(uniform(name, *shape).ravel()).reshape(shape).astype(np.float32)


class Subject(NamedTuple):
    """What is looked at: an opened tiny checkpoint and its model."""

    folder: Path
    checkpoint: Checkpoint
    model: Gr00t


def vectors(family: Family, folder: Path) -> Vectors:
    """All vectors of a family; the checkpoint is written into `folder`.

    Names begin with the part that they are of: weights, head, loss, image, row, backbone, end_to_end, codec.
    """
    write_tiny(family, made_up_suite(), folder, seed=SEED)
    checkpoint = open_model(folder)
    model, _ = checkpoint.load(dtype=torch.float32, device=torch.device("cpu"))
    subject = Subject(folder, checkpoint, model)
    found: dict[str, object] = {"weights.digest": _digest(folder)}
    parts = {"head": _head, "loss": _loss, "image": _image, "row": _rows, "backbone": _backbone}
    for part, function in {**parts, "end_to_end": _end_to_end, "codec": _codecs}.items():
        found.update({f"{part}.{name}": value for name, value in function(subject).items()})
    return {name: np.ascontiguousarray(_array(value)) for name, value in found.items()}


def _array(value: object) -> np.ndarray:
    return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _digest(folder: Path) -> np.ndarray:
    """uint8 (32,), of the files of weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.name.encode() + path.read_bytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _slots(subject: Subject) -> Tensor:
    slots = sorted(subject.checkpoint.embodiment(tag).codec.embodiment for tag in subject.checkpoint.tags)
    return torch.tensor([slots[row % len(slots)] for row in range(BATCH)])


def _features(head: ActionHead) -> Features:
    """Rows of different length, padded on the left; a third of each row's tokens are of images."""
    hidden = torch.from_numpy(normal("features", BATCH, TOKENS, head.config.features))
    places = torch.arange(TOKENS).expand(BATCH, -1)
    mask = places >= torch.tensor(FIRST_TOKENS).unsqueeze(1)
    return Features(hidden, mask, mask & (places % 3 == 1))


def _head_inputs(subject: Subject) -> tuple[Features, Tensor, Tensor, Tensor]:
    head = subject.model.action_head
    state = torch.from_numpy(normal("state", BATCH, head.config.state_history, head.config.state_dim))
    noise = torch.from_numpy(normal("noise", BATCH, head.config.horizon, head.config.action_dim))
    return _features(head), state, _slots(subject), noise


def _head(subject: Subject) -> Mapping[str, object]:
    """Four steps of inference: rows without padding, and the originals' padded batch with its intermediate tensors."""
    sampler = Sampler(subject.model.action_head)
    inputs = _head_inputs(subject)
    trace: dict[str, Tensor] = {}
    found: dict[str, object] = {"timesteps": np.array(sampler.times)}
    with torch.no_grad():
        found["action_pred"] = sampler(*inputs)
        found["action_pred_upstream"] = sampler(*inputs, upstream_padding=True, trace=trace)
        if subject.checkpoint.family is Family.N17:
            previous = torch.from_numpy(normal("previous", *inputs[3].shape))
            found["action_pred_overlap"] = sampler(*inputs, overlap=Overlap(previous, 12, 6, 2, 3.0))
    wanted = ("encoded_state", *(f"velocity.{step}" for step in range(4)))
    return {**found, **{name: trace[name] for name in wanted}}


def _loss(subject: Subject) -> Mapping[str, object]:
    """The training loss of a batch, what leads to it, and the norm of its gradient."""
    head = subject.model.action_head
    features, state, slots, noise = _head_inputs(subject)
    action = torch.from_numpy(normal("action", *noise.shape))
    mask = torch.from_numpy((uniform("mask", *noise.shape) < 0.7).astype(np.float32))
    beta = torch.from_numpy(uniform("beta", BATCH).astype(np.float32))
    head.requires_grad_(True)
    loss = head.loss(features, state, slots, action, mask, noise, beta)
    loss.loss.backward()
    norms = [parameter.grad.double().norm() for parameter in head.parameters() if parameter.grad is not None]
    head.zero_grad()
    head.requires_grad_(False)
    return {
        "loss": loss.loss,
        "t_discretized": loss.t_discretized,
        "velocity_pred": loss.velocity_pred,
        "gradient_norm": torch.stack(norms).norm(),
    }


def _samples(subject: Subject) -> list[tuple[Row, Processor, Mapping[str, np.ndarray]]]:
    """Three queries of the first robot, with the states that they are made of."""
    checkpoint = subject.checkpoint
    tokenizer = load_tokenizer(str(subject.folder), checkpoint.family)
    embodiment = checkpoint.embodiment("new_embodiment")
    processor = Processor(checkpoint, embodiment, tokenizer, embodiment.codec.embodiment)
    head = checkpoint.config.head
    found = []
    for index, instruction in enumerate(INSTRUCTIONS):
        frames = [_picture(f"frame {index} {camera}", *size) for camera, size in enumerate(FRAMES[checkpoint.family])]
        state = _raw(embodiment.codec.state_dims, f"state {index}", 1)
        noise = normal(f"noise {index}", head.horizon, head.action_dim)
        found.append((processor.row(frames, state, instruction, noise), processor, state))
    return found


def _picture(name: str, height: int, width: int) -> np.ndarray:
    """uint8 (height, width, 3): smooth waves, and noise."""
    waves = np.add.outer(np.arange(height) * 7, np.arange(width) * 3)[..., None] + np.array([0, 60, 150])
    return ((waves + 40 * uniform(name, height, width, 3)) % 256).astype(np.uint8)


def _raw(dims: Mapping[str, int], name: str, steps: int) -> dict[str, np.ndarray]:
    """Raw states or actions, float32 (steps, D), here and there outside their statistics."""
    return {key: (2.2 * uniform(f"{name} {key}", steps, size) - 1.1).astype(np.float32) for key, size in dims.items()}


def _image(subject: Subject) -> Mapping[str, object]:
    """A picture that has to be resized, as the vision tower takes it."""
    return {
        "pixels": _sample(
            image_transform(subject.checkpoint.config, subject.checkpoint.files.processor)(
                _picture("picture", *PICTURE)
            ).pixels
        )
    }


def _sample(pixels: Tensor) -> Tensor:
    """About a thousand of an image's numbers."""
    return pixels.flatten()[:: pixels.numel() // 997]


def _rows(subject: Subject) -> Mapping[str, object]:
    """What the processor makes of a query: tokens, positions, pictures, state."""
    found: dict[str, object] = {}
    for index, (row, _, _) in enumerate(_samples(subject)):
        pixels = torch.cat([_sample(image) for image in row.images])
        parts = {"ids": row.ids, "positions": row.positions, "grids": np.array(row.grids), "pixels": pixels}
        found.update({f"{index}.{name}": part for name, part in {**parts, "state": row.state}.items()})
    return found


def _backbone(subject: Subject) -> Mapping[str, object]:
    """Features of rows alone and in the originals' padded batch: six of their numbers, and the size of all."""
    rows = [row for row, _, _ in _samples(subject)]
    config, found = subject.checkpoint.config, {}
    longest = max(len(row.ids) for row in rows)
    with torch.no_grad():
        for index, row in enumerate(rows):
            batch = collate(config, [row], len(row.ids), 0)
            found[f"features.{index}"] = _summary(subject.model.backbone(batch.inputs).hidden[0])
        batch = collate(config, rows, longest, 0, left=True)
        found["features.padded"] = _summary(subject.model.backbone(batch.inputs).hidden)
    return {**found, "image_mask": batch.image_mask, "attention_mask": batch.mask}


def _summary(features: Tensor) -> Tensor:
    """(..., X) -> (..., 7)."""
    return torch.cat([features[..., ::8], features.square().mean(-1, keepdim=True).sqrt()], dim=-1)


def _end_to_end(subject: Subject) -> Mapping[str, object]:
    """Pictures, states and instructions to actions, in the model's units and in raw ones."""
    samples = _samples(subject)
    outputs = Engine(subject.model, pad=0).run([row for row, _, _ in samples])
    found: dict[str, object] = {"normalized": outputs}
    for index, ((_, processor, state), output) in enumerate(zip(samples, outputs, strict=True)):
        raw = processor.decode(output, state)
        found.update({f"{index}.{key}": values for key, values in raw.items()})
    return found


def _codecs(subject: Subject) -> Mapping[str, object]:
    """States and actions of every robot into the model's units and back."""
    found: dict[str, object] = {}
    head = subject.checkpoint.config.head
    for tag in subject.checkpoint.tags:
        codec = subject.checkpoint.embodiment(tag).codec
        state = _raw(codec.state_dims, f"{tag} state", codec.state_steps)
        action, mask = codec.encode_action(_raw(codec.action_dims, f"{tag} action", codec.horizon), state)
        output = (1.3 * normal(f"{tag} output", head.horizon, head.action_dim)).astype(np.float32)
        parts = {"state": codec.encode_state(state), "action": action}
        parts |= {"state_mask": codec.state_mask(), "action_mask": mask}
        parts |= {f"decoded.{key}": values for key, values in codec.decode_action(output, state).items()}
        found.update({f"{tag}.{name}": part for name, part in parts.items()})
    return found


def make(folder: Path) -> None:
    """Writes <family>.safetensors for every family into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in Family:
        with tempfile.TemporaryDirectory() as temporary:
            found = vectors(family, Path(temporary) / "checkpoint")
        (folder / f"{family.value}.safetensors").write_bytes(save(found))
        sys.stdout.write(json.dumps({"family": family.value, "arrays": len(found)}) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
