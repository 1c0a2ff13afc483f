"""Checkpoints through `evaluate`: the laws of the house with real models in the loop, and what is refused, and how."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from laws import kill_after, results
from safetensors.torch import load_file, save_file

from groot_bench import ArraySpec, Run, evaluate, load_suite
from groot_bench.episode import make_episode
from groot_bench.errors import CheckpointError, ManifestMismatch, SpecMismatch, UnknownName, UsageError
from groot_bench.models.collate import Row
from groot_bench.models.engine import Engine, RowCheck
from groot_bench.models.family import Family
from groot_bench.models.options import ModelOptions
from groot_bench.models.tiny import write_tiny
from groot_bench.policies.groot import GrootPolicy
from groot_bench.policy import Query
from groot_bench.spec import Spec
from groot_bench.suite import Task

FAMILIES = list(Family)
TOY = load_suite("toy")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Path]:
    """A tiny checkpoint of each family, for the suite `toy`."""
    root = tmp_path_factory.mktemp("tiny")
    return {family: write_tiny(family, TOY, root / family.value) for family in FAMILIES}


def run(folder: Path, out: Path, **settings: Any) -> Run:
    return evaluate(
        "groot",
        **{"ckpt": folder, "suite": "toy", "episodes": 2, "max_steps": 24, "slots": 2, "out": out, **settings},
    )


def quiet(folder: Path, seed: int = 0, **options: Any) -> GrootPolicy:
    return GrootPolicy(folder, seed, ModelOptions(**options), say=lambda text: None)


@pytest.mark.parametrize("family", FAMILIES)
def test_records_do_not_depend_on_slots_batches_or_shards(
    family: Family, folders: dict[Family, Path], tmp_path: Path
) -> None:
    base = results(run(folders[family], tmp_path / "1", slots=1))
    assert len(base) == 6
    hashes = {record.action_hash for record in run(folders[family], tmp_path / "1").records}
    assert len(hashes) == 6, "episodes must differ, or equality means nothing"
    for slots, batch in ((3, None), (2, 1), (2, 4)):
        options = ModelOptions(batch_size=batch)
        assert results(run(folders[family], tmp_path / f"{slots}-{batch}", slots=slots, model=options)) == base
    part = run(folders[family], tmp_path / "half", shard=(2, 2))
    assert results(part) == base[1::2]


@pytest.mark.parametrize("family", FAMILIES)
def test_another_process_records_the_same(family: Family, folders: dict[Family, Path], tmp_path: Path) -> None:
    words = ["eval", "--suite", "toy", "--ckpt", str(folders[family]), "--episodes", "2", "--max-steps", "24"]
    command = [sys.executable, "-m", "groot_bench", *words, "--slots", "3", "--out", str(tmp_path / "other")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "self-check: a row has the same bits alone and among others (cpu, float32, layout 'single')" in done.stderr
    assert results(Run.load(tmp_path / "other")) == results(run(folders[family], tmp_path / "here", slots=1))


def test_run_that_is_killed_ends_with_the_same_records(folders: dict[Family, Path], tmp_path: Path) -> None:
    whole = run(folders[Family.N16], tmp_path / "whole", episodes=4)
    words = ["eval", "--suite", "toy", "--ckpt", str(folders[Family.N16]), "--episodes", "4", "--max-steps", "24"]
    command = [sys.executable, "-m", "groot_bench", *words, "--slots", "2", "--out", str(tmp_path / "killed")]
    kill_after(command, tmp_path / "killed", episodes=3, delay=0.0, cwd=tmp_path)
    again = run(folders[Family.N16], tmp_path / "killed", episodes=4)
    assert results(again) == results(whole)


def test_manifest_says_how_the_model_was_run(folders: dict[Family, Path], tmp_path: Path) -> None:
    folder = folders[Family.N17]
    policy = run(folder, tmp_path / "a", model=ModelOptions(denoising_steps=2)).experiment["policy"]
    settings = policy["settings"]
    assert policy["name"] == "n17" and policy["seed"] == 0 and len(policy["checkpoint"]) == 32
    assert settings["denoising_steps"] == 2 and settings["layout"] == "single" and settings["device"] == "cpu"
    assert settings["rows_independent"] is True and settings["threads"] == torch.get_num_threads()
    assert settings["processor"] == torch.backends.cpu.get_cpu_capability()
    # Packed weights round differently, so that a run that was begun without them is not to be resumed with them.
    assert settings["packed_head"] is torch.backends.mkldnn.is_available()
    assert set(settings["embodiments"]) == {"Reach", "Coin50", "Coin90"}
    assert settings["embodiments"]["Reach"] == "new_embodiment"
    for other in ({"model": ModelOptions(denoising_steps=3)}, {"policy_seed": 1}, {"ckpt": folders[Family.N16]}):
        with pytest.raises(ManifestMismatch):
            run(folder, tmp_path / "a", **{"model": ModelOptions(denoising_steps=2), **other})


CONFIGURED = {
    Family.N15: ["config.json", "backbone_config.json", "experiment_cfg/metadata.json", "data_config.json"],
    Family.N16: [
        "config.json",
        "backbone_config.json",
        "processor_config.json",
        "statistics.json",
        "embodiment_id.json",
    ],
}


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, names in CONFIGURED.items() for name in names])
def test_change_of_any_file_is_another_experiment(
    family: Family, name: str, folders: dict[Family, Path], tmp_path: Path
) -> None:
    folder = copy(folders[family], tmp_path / "changed")
    before = quiet(folder).info.settings
    text = (folder / name).read_text()
    changes = {
        "config.json": ('"noise_s": 0.999', '"noise_s": 0.998'),
        "backbone_config.json": ("1e-06", "1e-05"),
        "embodiment_id.json": (": 10", ": 9"),
        "processor_config.json": ('"formalize_language": true', '"formalize_language": false'),
        "data_config.json": ("min_max", "q99"),
    }
    old, new = changes.get(name, ("0.15", "0.16") if family is Family.N15 else ("1.0", "1.5"))
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    after = quiet(folder).info.settings
    assert {key for key in after if after[key] != before[key]} == {"configuration"}


def test_checkpoint_digest_is_that_of_the_folder_whatever_the_embodiment(folders: dict[Family, Path]) -> None:
    digests = {quiet(folders[Family.N17], embodiment=tag).info.checkpoint for tag in (None, "new_embodiment")}
    assert len(digests) == 1


def test_policy_seed_and_denoising_steps_change_the_actions(folders: dict[Family, Path], tmp_path: Path) -> None:
    def hashes(name: str, **settings: Any) -> list[str | None]:
        return [record.action_hash for record in run(folders[Family.N15], tmp_path / name, **settings).records]

    base = hashes("base")
    others = [hashes("seed", policy_seed=1), hashes("steps", model=ModelOptions(denoising_steps=1))]
    assert all(one != two for other in others for one, two in zip(base, other, strict=True))


def test_upstream_padding_is_noted(folders: dict[Family, Path], tmp_path: Path) -> None:
    options = ModelOptions(upstream_padding=True)
    policy = run(folders[Family.N17], tmp_path / "a", model=options).experiment["policy"]
    assert policy["settings"]["layout"] == "upstream"
    assert policy["settings"]["rows_independent"] is False


def test_ablations_and_chunking_reach_the_model(folders: dict[Family, Path], tmp_path: Path) -> None:
    def hashes(name: str, **settings: Any) -> list[str | None]:
        return [record.action_hash for record in run(folders[Family.N16], tmp_path / name, **settings).records]

    base = hashes("base")
    for text in (
        "camera=top:black",
        "camera=top~far",
        "state=*:zero",
        "instruction=blank",
        "instruction=swap",
        "latency=2",
    ):
        assert hashes(text, ablation=[text]) != base, text
    assert hashes("chunking", chunking="ensemble=0.1") != base
    assert hashes("cut", chunking="horizon=8") == base


def query(policy: GrootPolicy, task: Task, index: int = 0) -> tuple[dict[str, Any], Query]:
    """A made-up observation of a task, and its query."""
    random = np.random.default_rng(index)
    policy.interface(task)
    observation: dict[str, Any] = {}
    for name, spec in task.observation.items():
        shape = (1, *(size or 0 for size in spec.shape))
        if spec.is_text:
            observation[name] = ["move to the dot"]
        elif spec.dtype == "uint8":
            observation[name] = random.integers(0, 256, shape, np.uint8)
        else:
            observation[name] = random.uniform(-1, 1, shape).astype(np.float32)
    return observation, Query(make_episode("toy", "toy/v1", task.name, index, 0), index, 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_row_has_the_same_bits_in_any_slot_of_a_padded_batch(family: Family, folders: dict[Family, Path]) -> None:
    policy, task = quiet(folders[family], batch_size=4), TOY.tasks["Reach"]
    pairs = [query(policy, task, index) for index in range(4)]
    pairs[1][0]["annotation.human.task_description"] = ["a much longer instruction than the others have, with words"]
    single = [policy.act(*([one[0], [one[1]]]))["action.move"][0] for one in pairs]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2], [1, 0]):
        filled = [pairs[place] for place in [*order, *order[:1] * (4 - len(order))]]
        batch: dict[str, Any] = {}
        for name in pairs[0][0]:
            values = [one[0][name] for one in filled]
            batch[name] = (
                [text for value in values for text in value] if isinstance(values[0], list) else np.concatenate(values)
            )
        chunk = policy.act(batch, [pairs[place][1] for place in order])["action.move"]
        for row, place in enumerate(order):
            assert chunk[row].tobytes() == single[place].tobytes()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batch", [2, 8])
def test_self_check_puts_different_rows_into_one_batch(
    family: Family, batch: int, folders: dict[Family, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU, whose batches are of one padded length: rows of other lengths would each be alone, together as well."""
    batches: list[list[int]] = []

    def check(engine: Engine, rows: Sequence[Row]) -> RowCheck:
        padded = Engine(engine.model, pad=0, layout="bucketed", batch_size=batch)
        batches.extend(places for places, _ in padded._plan(rows))
        assert len({row.images[0].sum().item() for row in rows}) == len(rows)
        return RowCheck(True, 0.0)

    monkeypatch.setattr(Engine, "check", check)
    quiet(folders[family], batch_size=batch).load()
    assert max(map(len, batches)) > 1


def test_strict_goes_back_to_single_rows(folders: dict[Family, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Engine, "check", lambda self, rows: RowCheck(self.batch_size == 1, 0.25))
    lax = GrootPolicy(folders[Family.N16], 0, ModelOptions(batch_size=4), say=said.append)
    assert lax.info.batch_size == 4 and lax.info.settings["rows_independent"] is False
    assert "rows depend on their neighbors, by up to 2.5e-01" in said[-1]
    strict = GrootPolicy(folders[Family.N16], 0, ModelOptions(batch_size=4, strict=True), say=said.append)
    assert strict.info.batch_size == 1 and strict.info.settings["rows_independent"] is True


def changed_task(**arrays: ArraySpec | None) -> Task:
    """The task Reach with some arrays changed or (None) taken away."""
    task = TOY.tasks["Reach"]

    def change(spec: Spec) -> dict[str, ArraySpec]:
        kinds = {name.partition(".")[0] for name in spec}
        both = {**spec, **{name: array for name, array in arrays.items() if name.partition(".")[0] in kinds}}
        return {name: array for name, array in both.items() if array is not None}

    return dataclasses.replace(task, observation=change(task.observation), action=change(task.action))


MISFITS = [
    ({"video.top": None}, r"camera 'top' is missing \(given: far\)"),
    ({"video.top": ArraySpec((1, 64, 64, 1), "uint8")}, r"camera 'top' must be uint8 \[1, H, W, 3\]"),
    ({"state.position": ArraySpec((1, 3))}, r"state 'position' has 2 numbers, the suite's is float32\[1, 3\]"),
    ({"state.position": None}, r"state 'position' \(2\) is missing"),
    ({"action.move": ArraySpec((3,))}, r"action 'move' has 2 numbers"),
    ({"action.grip": ArraySpec((1,))}, r"the suite takes action.grip, which it does not return"),
    ({"annotation.human.task_description": None}, r"it reads the instruction .* of texts the suite gives none"),
]


@pytest.mark.parametrize(
    ("arrays", "message"), MISFITS, ids=[next(iter(arrays)) + str(i) for i, (arrays, _) in enumerate(MISFITS)]
)
def test_task_that_does_not_fit_is_refused_with_the_reason(
    arrays: dict[str, ArraySpec | None], message: str, folders: dict[Family, Path]
) -> None:
    policy = quiet(folders[Family.N16])
    with pytest.raises(SpecMismatch, match=message):
        policy.interface(changed_task(**arrays))


def test_unknown_embodiment_names_the_nearest(folders: dict[Family, Path]) -> None:
    with pytest.raises(UnknownName, match="did you mean 'new_embodiment'"):
        quiet(folders[Family.N16], embodiment="new_embodimnt")
    assert quiet(folders[Family.N16], embodiment="NEW_EMBODIMENT").info.settings["embodiments"] == {}


def test_several_embodiments_that_fit_must_be_told_apart(folders: dict[Family, Path], tmp_path: Path) -> None:
    folder = copy(folders[Family.N17], tmp_path / "two")
    for name in ("processor_config.json", "statistics.json", "embodiment_id.json"):
        data = json.loads((folder / name).read_text())
        inner = data["processor_kwargs"]["modality_configs"] if "processor_kwargs" in data else data
        inner["twin"] = 3 if name == "embodiment_id.json" else inner["new_embodiment"]
        (folder / name).write_text(json.dumps(data))
    task = TOY.tasks["Reach"]
    with pytest.raises(UsageError, match=r"fits several embodiments .* --embodiment with one of new_embodiment, twin"):
        quiet(folder).interface(task)
    one, two = (quiet(folder, embodiment=tag) for tag in ("new_embodiment", "twin"))
    observation, ask = query(one, task)
    two.interface(task)
    assert not np.array_equal(one.act(observation, [ask])["action.move"], two.act(observation, [ask])["action.move"])


def copy(folder: Path, out: Path) -> Path:
    return Path(shutil.copytree(folder, out))


def _nan(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["action_head.vlln.weight"][3] = torch.nan
    save_file(tensors, path)


def _lacking(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["action_head.vlln.weight"], tensors["action_head.vlln.bias"]
    save_file({**tensors, "action_head.other": torch.zeros(1)}, path)


def _no_statistics(folder: Path) -> None:
    data = json.loads((folder / "statistics.json").read_text())
    del data["new_embodiment"]["state"]["position"]
    (folder / "statistics.json").write_text(json.dumps(data))


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _other_token(folder: Path) -> None:
    data = json.loads((folder / "backbone_config.json").read_text())
    data["image_token_id"] = 300
    (folder / "backbone_config.json").write_text(json.dumps(data))


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


FAULTS = [
    (_nan, r"action_head\.vlln\.weight"),
    (_lacking, r"(?s)2 tensors are missing.*vlln\.weight.*vlln\.bias.*action_head\.other"),
    (_no_statistics, r"position"),
    (_cut, r"model\.safetensors"),
    (_other_token, r"300"),
    (_pickled, r"pytorch_model\.bin"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_broken_checkpoint_is_refused_and_nothing_is_written(
    fault: Callable[[Path], None], message: str, folders: dict[Family, Path], tmp_path: Path
) -> None:
    folder = copy(folders[Family.N17], tmp_path / "broken")
    fault(folder)
    with pytest.raises(CheckpointError, match=message):
        run(folder, tmp_path / "out", tasks=["Reach"])
    assert not (tmp_path / "out").exists()


def test_n15_without_a_data_configuration_asks_for_one(folders: dict[Family, Path], tmp_path: Path) -> None:
    folder = copy(folders[Family.N15], tmp_path / "bare")
    configs = sorted(folder.glob("data_config*.json"))
    for path in configs:
        if path.name != "data_config.json":
            path.unlink()
    (own,) = [path for path in configs if path.name == "data_config.json"]
    own = own.rename(tmp_path / "mine.json")
    with pytest.raises(UsageError, match=r"give --data-config .* libero"):
        quiet(folder)
    assert quiet(folder, data_config=str(own), embodiment="new_embodiment").interface(TOY.tasks["Reach"]).horizon >= 16
    with pytest.raises(UnknownName, match="did you mean 'libero'"):
        quiet(folder, data_config="liberoo")


def test_device_that_is_not_there_is_refused(folders: dict[Family, Path]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(UsageError, match="torch sees 0 CUDA devices; use --device cpu"):
        quiet(folders[Family.N16], device="cuda")
    with pytest.raises(UsageError, match="flash"):
        quiet(folders[Family.N16], attn="flash")


@pytest.mark.sim
@pytest.mark.parametrize("family", FAMILIES)
def test_robosuite_run_has_the_same_action_hashes_whatever_the_slots(family: Family, tmp_path: Path) -> None:
    folder = write_tiny(family, load_suite("robosuite"), tmp_path / "tiny", tasks=["Lift", "TwoArmLift"])
    settings = {"suite": "robosuite", "tasks": ["Lift", "TwoArmLift"], "max_steps": 32}
    one = run(folder, tmp_path / "one", slots=1, **settings)
    two = run(folder, tmp_path / "two", slots=2, model=ModelOptions(batch_size=4), **settings)
    assert results(one) == results(two)
    assert len({record.action_hash for record in one.records}) == 4
    assert all(record.error is None for record in one.records)
