"""The whole model compared with `end_to_end.safetensors` of a golden folder: prompt and pictures in, actions out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import torch

from groot_bench.models.difference import Difference
from groot_bench.models.golden_backbone import golden_inputs, is_input, read_tensors
from groot_bench.models.golden_files import compare_tensors
from groot_bench.models.inputs import Features
from groot_bench.models.model import Gr00t
from groot_bench.models.sampler import Sampler

FILE = "end_to_end.safetensors"
LIMIT = 1e-3  # on actions, as for the head alone
INPUTS = frozenset(("embodiment_id", "noise", "state"))


def compare_end_to_end(folder: Path, model: Gr00t) -> Iterator[Difference]:
    """The actions of a padded batch, with padding attended to as upstream."""
    golden = read_tensors(folder / FILE)
    inputs = golden_inputs(model.config, golden)
    slots = golden["embodiment_id"].long()
    results = []
    with torch.no_grad():
        features: Features = model.backbone(inputs)
        for head in (model.action_head, copy.deepcopy(model.action_head).double()):
            dtype = head.model.proj_out_1.weight.dtype
            hidden, state, noise = (x.to(dtype) for x in (features.hidden, golden["state"], golden["noise"]))
            actions = Sampler(head)(features._replace(hidden=hidden), state, slots, noise, upstream_padding=True)
            results.append({"action_pred": actions})
    known = INPUTS | {name for name in golden if is_input(name)}
    yield from compare_tensors(FILE, results[0], golden, known, lambda name, tensor: LIMIT, results[1])
