"""How a checkpoint is to be run. Imports nothing heavy: a command line is checked before torch is loaded."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
from dataclasses import dataclass

from groot_bench.errors import UnknownName, UsageError

DTYPES = ("float32", "bfloat16")
ATTENTION = ("sdpa", "math", "flash")
DEVICES = ("cpu", "cuda")
PACKAGES = ("torch", "transformers", "safetensors", "tokenizers", "huggingface_hub", "cv2", "scipy")


@dataclass(frozen=True)
class ModelOptions:
    """Everything that `--ckpt` can be told; None means what the docstring says, never a guess.

    Attributes:
        embodiment: a tag of the checkpoint, by name or value; None for the one that fits the task, if it is only one.
        data_config: N1.5 only, whose checkpoints do not hold it: a built-in name or a JSON file; None for the folder's
            data_config.json.
        tokenizer: folder or hub id; None for the checkpoint's own, or the hub id of the family's.
        revision: of a hub repository.
        denoising_steps: None for the checkpoint's number.
        device: "cpu", "cuda" or "cuda:1"; None for a GPU where there is one.
        dtype: None for bfloat16 on a GPU, float32 on a CPU.
        attn: kind of attention.
        threads: of a CPU; None for as many as torch takes. Matrix products round differently with another number.
        batch_size: rows of a batch; None for 8 on a GPU, and for rows one by one on a CPU. A CPU computes the rows of
            a batch one by one, too.
        compile: whether to run through torch.compile with CUDA graphs; GPU only, where shapes are fixed.
        strict: whether to go back to one row at a time where rows turn out to depend on their neighbors.
        upstream_padding: pad and attend to padding as the originals do; then rows depend on their neighbors.
    """

    embodiment: str | None = None
    data_config: str | None = None
    tokenizer: str | None = None
    revision: str | None = None
    denoising_steps: int | None = None
    device: str | None = None
    dtype: str | None = None
    attn: str = "sdpa"
    threads: int | None = None
    batch_size: int | None = None
    compile: bool = False
    strict: bool = False
    upstream_padding: bool = False

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise UnknownName("--dtype", self.dtype, DTYPES)
        if self.attn not in ATTENTION:
            raise UnknownName("--attn", self.attn, ATTENTION)
        if self.device is not None and not re.fullmatch(r"cpu|cuda(:\d{1,2})?", self.device):
            raise UnknownName("--device", self.device, (*DEVICES, "cuda:1"))
        for name in ("denoising_steps", "batch_size", "threads"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 1 <= value <= 1000):
                raise UsageError(f"--{name.replace('_', '-')} must be a whole number from 1 to 1000, got {value!r}")
        if self.strict and self.upstream_padding:
            raise UsageError(
                "--strict and --upstream-padding contradict each other: upstream's rows are not independent"
            )

    @property
    def given(self) -> dict[str, object]:
        """The options that differ from their defaults."""
        default = ModelOptions()
        pairs = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: value for name, value in pairs if value != getattr(default, name)}


def require_installed() -> None:
    """Raises UsageError unless the packages that models need are there."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"checkpoints need {', '.join(missing)}; run: pip install 'groot-bench[groot]'")


def share_the_cores() -> None:
    """Makes threads of torch sleep while they wait, unless the user has said how they should.

    They spin by default. Beside simulators that want the same cores, a query of a small model takes 100 times as long
    then. Read when torch is loaded, so this comes before; a program that loads torch itself
    sets OMP_WAIT_POLICY=PASSIVE before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
