"""The recorded numbers of the originals, and a comparison that notices when they are not met."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import shared_folder

from groot_bench.models.difference import Difference, largest_difference
from groot_bench.models.golden_processor import JSON_FILE, NPZ_FILE, compare_processor

FAMILIES = ("n15", "n16", "n17")
Tree = dict[str, Any]


def golden(family: str) -> Path:
    shared = shared_folder()
    if shared is None or not (shared / "golden" / family / NPZ_FILE).is_file():
        pytest.skip("needs the recorded numbers in ../shared/golden")
    return shared / "golden" / family


@pytest.fixture
def altered(tmp_path: Path) -> Callable[..., list[Difference]]:
    """Compares a copy of a golden folder after its arrays or its JSON were changed; returns what is over."""

    def compare(
        family: str, arrays: Callable[[Tree], object] | None = None, tree: Callable[[Tree], object] | None = None
    ) -> list[Difference]:
        for name in (JSON_FILE, NPZ_FILE):
            shutil.copyfile(golden(family) / name, tmp_path / name)
        if arrays is not None:
            with np.load(tmp_path / NPZ_FILE) as file:
                data = dict(file)
            arrays(data)
            np.savez(tmp_path / NPZ_FILE, **data)
        if tree is not None:
            data = json.loads((tmp_path / JSON_FILE).read_text())
            tree(data)
            (tmp_path / JSON_FILE).write_text(json.dumps(data))
        return [difference for difference in compare_processor(tmp_path) if not difference.ok]

    return compare


@pytest.mark.parametrize("family", FAMILIES)
def test_every_recorded_field_is_reproduced(family: str) -> None:
    found = list(compare_processor(golden(family)))
    assert [difference for difference in found if not difference.ok] == []
    with np.load(golden(family) / NPZ_FILE) as file:
        outputs = [name for name in file.files if "/raw_" not in name and not name.endswith("model_output")]
    assert {difference.field for difference in found} == set(outputs)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_changed_number_is_noticed_where_it_is(altered: Callable[..., list[Difference]], family: str) -> None:
    def change(arrays: Tree) -> None:
        for name in arrays:
            if name.endswith(("/state", "/action_mask")) or "decoded_action/" in name:
                arrays[name] = arrays[name] + np.float32(1e-3)

    found = altered(family, arrays=change)
    assert found and all(difference.file == NPZ_FILE and math.isfinite(difference.difference) for difference in found)
    names = {difference.field.split("/")[-1 if "decoded" not in difference.field else -2] for difference in found}
    assert names == {"state", "action_mask", "decoded_action"}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_cannot_be_compared_is_infinitely_far(altered: Callable[..., list[Difference]], family: str) -> None:
    def remove(arrays: Tree) -> None:
        first = next(name for name in arrays if name.endswith("/action"))
        del arrays[first]
        mask = next(name for name in arrays if name.endswith("/action_mask"))
        arrays[mask] = arrays[mask][:, :-1]
        arrays[mask + "_of_another_kind"] = np.zeros(3)

    found = altered(family, arrays=remove)
    assert [difference.difference for difference in found] == [math.inf] * 3
    assert any("is missing" in difference.field for difference in found)


@pytest.mark.parametrize("family", FAMILIES)
def test_missing_inputs_are_told_once_for_what_depends_on_them(
    altered: Callable[..., list[Difference]], family: str
) -> None:
    def remove(arrays: Tree) -> None:
        del arrays[next(name for name in arrays if "/raw_state/" in name)]

    found = altered(family, arrays=remove)
    assert found and all(difference.difference == math.inf for difference in found)
    assert any("is missing" in difference.field for difference in found)


def test_other_names_and_widths_are_compared_alike(altered: Callable[..., list[Difference]]) -> None:
    """The comparison knows no key or tag of the recorded sets."""

    def rename_arrays(arrays: Tree) -> None:
        for name in list(arrays):
            arrays[name.replace("/arm", "/limb").replace("gr1/", "droid/")] = arrays.pop(name)

    def rename_tree(tree: Tree) -> None:
        text = json.dumps(tree).replace('"arm"', '"limb"').replace('"gr1"', '"droid"').replace("/gr1/", "/droid/")
        tree.clear()
        tree.update(json.loads(text))

    assert altered("n16", rename_arrays, rename_tree) == []


def test_a_wrong_switch_is_noticed(altered: Callable[..., list[Difference]]) -> None:
    def toggle(tree: Tree) -> None:
        flags = tree["cases"][0]["flags"]
        flags["clip_outliers"] = not flags["clip_outliers"]

    assert altered("n17", tree=toggle)


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("n15", lambda tree: tree.pop("metadata")),
        ("n15", lambda tree: tree.update(state_target_rotations=3)),
        ("n15", lambda tree: tree["embodiment_tag_mapping"].clear()),
        ("n16", lambda tree: tree.pop("statistics")),
        ("n16", lambda tree: tree["cases"][0].update(flags={"upside_down": True})),
        ("n17", lambda tree: tree["cases"][0].update(embodiment_tag="nobody")),
        ("n17", lambda tree: tree.update(cases=[])),
        ("n17", lambda tree: tree.update(cases=[{}, {}])),
        ("n17", lambda tree: tree.update(max_state_dim=2)),
    ],
)
def test_a_case_that_describes_no_codec_is_infinitely_far(
    altered: Callable[..., list[Difference]], family: str, change: Callable[[Tree], object]
) -> None:
    assert any(
        difference.difference == math.inf and difference.file == JSON_FILE
        for difference in altered(family, tree=change)
    )


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"PK\x03\x04", b"[" * 100_000])
def test_files_that_cannot_be_read_are_infinitely_far(tmp_path: Path, content: bytes) -> None:
    for folder in (tmp_path / "absent", tmp_path):
        (difference,) = compare_processor(folder)
        assert difference.difference == math.inf and not difference.ok
        (tmp_path / JSON_FILE).write_bytes(content)
        (tmp_path / NPZ_FILE).write_bytes(content)


def test_arrays_of_objects_are_never_unpacked(tmp_path: Path) -> None:
    (tmp_path / JSON_FILE).write_text('{"cases": [{"prefix": "a/"}]}')
    np.savez(tmp_path / NPZ_FILE, **{"a/state": np.array([{"run": "this"}], dtype=object)})
    (difference,) = compare_processor(tmp_path)
    assert difference.difference == math.inf


def test_a_difference_of_nan_is_not_right() -> None:
    assert not Difference("f", "x", math.nan, 1.0).ok
    assert not Difference("f", "x", math.inf, 1.0).ok
    assert Difference("f", "x", 1.0, 1.0).ok


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([True, False], [1.0, 1.0], 1.0),
        ([math.nan, 1.0], [math.nan, 1.0], 0.0),
        ([math.nan, 1.0], [1.0, 1.0], math.inf),
        ([math.inf], [-math.inf], math.inf),
        ([[1.0]], [1.0], math.inf),
        (["a"], ["a"], math.inf),
        ([], [], 0.0),
    ],
)
def test_largest_difference_of_arrays(ours: list[Any], theirs: list[Any], expected: float) -> None:
    assert largest_difference(ours, theirs) == expected
