"""Camera frames on their way to the vision tower: sizes, arithmetic, independence, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import shared_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from groot_bench.errors import CheckpointError, SpecMismatch
from groot_bench.models.difference import Difference
from groot_bench.models.family import Family
from groot_bench.models.golden_image import FILE, compare_images
from groot_bench.models.processing.images import ImageInput, ImageTransform, in_prompt_order, pad_to_square, to_tower
from groot_bench.models.processing.images_n15 import ImageTransformN15
from groot_bench.models.processing.images_n16 import ImageTransformN16
from groot_bench.models.processing.images_n17 import ImageTransformN17
from groot_bench.models.processing.resample import Filter, Style, resize

FAMILIES = ("n15", "n16", "n17")
RELEASED = {"use_albumentations": True, "shortest_image_edge": 256, "crop_fraction": 0.95}
CROP_TARGET = {
    "use_albumentations": True,
    "shortest_image_edge": None,
    "crop_fraction": None,
    "image_crop_size": [230, 230],
    "image_target_size": [256, 256],
}
TRANSFORMS: dict[str, ImageTransform] = {
    "n15": ImageTransformN15(),
    "n15 merged": ImageTransformN15(image_size=56, patch=14, merge=2),
    "n16": ImageTransformN16.from_processor(RELEASED),
    "n16 unpadded": ImageTransformN16.from_processor(RELEASED, pad_to_square=False),
    "n17": ImageTransformN17.from_processor(RELEASED),
    "n17 letterbox": ImageTransformN17.from_processor({**RELEASED, "letter_box_transform": True}),
    "n17 small": ImageTransformN17.from_processor({**RELEASED, "shortest_image_edge": 60}, 8, 2, 1),
}
MERGE = {"n15": 1}  # of the transforms above; 2 where it is not named

sides = st.integers(16, 120)
seeds = st.integers(0, 2**32 - 1)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A frame of independent bytes; every second one has only black and white, where overshoot must be clipped."""
    generator = np.random.default_rng(seed)
    frame = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.where(frame > 127, 255, 0).astype(np.uint8) if seed % 2 else frame


# --- recorded numbers


def golden(family: str) -> Path:
    shared = shared_folder()
    if shared is None or not (shared / "golden" / family / FILE).is_file():
        pytest.skip("needs the recorded numbers in ../shared/golden")
    return shared / "golden" / family


@pytest.mark.parametrize("family", FAMILIES)
def test_every_recorded_image_is_reproduced(family: str) -> None:
    found = list(compare_images(golden(family)))
    assert [line for line in found if not line.ok] == []
    with np.load(golden(family) / FILE) as file:
        outputs = {name for name in file.files if "/raw." not in name}
    assert {line.field for line in found} == outputs
    assert max(line.difference for line in found if "/transformed." in line.field) == 0, "same library, same bytes"


# --- resizing


@given(sides, sides, sides, sides, seeds, st.sampled_from(list(Filter)))
@settings(max_examples=60, deadline=None)
def test_fixed_point_resize_is_that_of_torch(
    height: int, width: int, rows: int, columns: int, seed: int, kind: Filter
) -> None:
    image = noise(height, width, seed)
    mode = {Filter.LINEAR: "bilinear", Filter.CUBIC: "bicubic"}[kind]
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    theirs = functional.interpolate(planes, (rows, columns), mode=mode, antialias=True)[0].permute(1, 2, 0)
    np.testing.assert_array_equal(resize(image, rows, columns, Style.TORCH, kind), theirs.numpy())


@given(sides, sides, sides, sides, seeds)
@settings(max_examples=60, deadline=None)
def test_fixed_point_resize_is_that_of_pillow(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed: nothing to compare with")
    if int(pillow.__version__.partition(".")[0]) < 13 and rows < height and height - rows > 2 * (width - columns):
        return  # older versions begin with the width in this case, too
    image = noise(height, width, seed)
    theirs = np.asarray(pillow.fromarray(image).resize((columns, rows), pillow.Resampling.BICUBIC))
    np.testing.assert_array_equal(resize(image, rows, columns, Style.PILLOW), theirs)


@given(sides, sides, sides, sides, st.integers(0, 255), st.sampled_from(list(Style)))
@settings(max_examples=40, deadline=None)
def test_one_color_stays_that_color_at_any_size(
    height: int, width: int, rows: int, columns: int, grey: int, style: Style
) -> None:
    image = np.full((height, width, 3), grey, np.uint8)
    assert (resize(image, rows, columns, style) == grey).all()


@pytest.mark.parametrize("style", list(Style))
def test_an_image_of_the_wanted_size_is_not_touched(style: Style) -> None:
    image = noise(28, 56, 3)
    np.testing.assert_array_equal(resize(image, 28, 56, style), image)


# --- all families


@pytest.mark.parametrize("name", TRANSFORMS)
@given(sides, sides, seeds)
@settings(max_examples=15, deadline=None)
def test_tokens_grid_and_pixels_belong_together(name: str, height: int, width: int, seed: int) -> None:
    result = TRANSFORMS[name](noise(height, width, seed))
    rows, columns = result.grid
    merge = MERGE.get(name, 2)
    assert rows % merge == columns % merge == 0
    assert result.tokens * merge**2 == rows * columns > 0
    assert result.pixels.dtype == torch.float32
    assert float(result.pixels.min()) >= -1 and float(result.pixels.max()) <= 1
    transform = TRANSFORMS[name]
    if isinstance(transform, ImageTransformN17):
        assert result.pixels.shape == (rows * columns, 3 * transform.temporal * transform.patch**2)
    elif isinstance(transform, ImageTransformN15 | ImageTransformN16):
        assert result.pixels.shape == (3, rows * transform.patch, columns * transform.patch)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_frame_does_not_depend_on_frames_before_it_or_on_its_memory_layout(name: str) -> None:
    transform, frame = TRANSFORMS[name], noise(90, 70, 5)
    alone = transform(frame).pixels
    for other in (noise(90, 70, 6), noise(64, 200, 7)):
        transform(other)
        strided = np.asfortranarray(frame)
        assert torch.equal(transform(strided).pixels, alone)
    reading = frame.copy()
    reading.flags.writeable = False
    assert torch.equal(transform(reading).pixels, alone)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_result_shares_no_memory_with_its_frame(name: str) -> None:
    for size in (224, 252, 256):
        frame = noise(size, size, 8)
        result = TRANSFORMS[name](frame)
        before = result.pixels.clone()
        frame[:] = 0
        assert torch.equal(result.pixels, before)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    "frame",
    [
        noise(64, 64).astype(np.float32),
        noise(64, 64)[None],
        noise(64, 64)[..., :1],
        noise(64, 64).transpose(2, 0, 1),
        np.zeros((0, 64, 3), np.uint8),
        np.zeros((2, 500, 3), np.uint8),
        [[0, 0, 0]],
    ],
)
def test_what_is_no_frame_is_refused(name: str, frame: Any) -> None:
    with pytest.raises(SpecMismatch, match="a camera frame must"):
        TRANSFORMS[name](frame)


# --- N1.5


@given(st.integers(40, 200), st.integers(40, 200), seeds)
@settings(max_examples=15, deadline=None)
def test_n15_crops_the_center_and_resizes_linearly(height: int, width: int, seed: int) -> None:
    frame = noise(height, width, seed)
    rows, columns = int(height * 0.95), int(width * 0.95)
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    crop = frame[top : top + rows, left : left + columns].astype(np.float64)
    planes = crop.transpose(2, 0, 1)
    wanted = (triangles(rows, 56) @ planes @ triangles(columns, 56).T).transpose(1, 2, 0)
    ours = ImageTransformN15(image_size=56).transform(frame)
    assert np.abs(ours - (wanted - 0.5)).max() < 0.51, "cut off to a whole number, not rounded"


def triangles(size: int, wanted: int) -> np.ndarray:
    """Weights (wanted, size) of an antialiased linear resize."""
    stretch = max(size / wanted, 1.0)
    center = (np.arange(wanted)[:, None] + 0.5) * size / wanted
    weights = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - center) / stretch)
    return weights / weights.sum(axis=1, keepdims=True)


def test_n15_refuses_patches_that_cannot_be_merged() -> None:
    with pytest.raises(SpecMismatch, match="3 patches a side"):
        ImageTransformN15(image_size=42, patch=14, merge=2)


# --- N1.6 and N1.7: crop and resize


@pytest.mark.parametrize(
    ("settings_", "frame", "unpadded", "padded"),
    [
        (RELEASED, (256, 256), (256, 256), (256, 256)),
        (RELEASED, (480, 640), (256, 340), (256, 256)),
        (RELEASED, (300, 180), (427, 256), (256, 256)),
        (CROP_TARGET, (300, 400), (256, 341), (256, 256)),
        ({**RELEASED, "shortest_image_edge": 224, "crop_fraction": 1.0}, (240, 320), (224, 299), (224, 224)),
    ],
)
def test_transformed_sizes(
    settings_: dict[str, Any], frame: tuple[int, int], unpadded: tuple[int, int], padded: tuple[int, int]
) -> None:
    image = noise(*frame)
    for pad, wanted in ((False, unpadded), (True, padded)):
        n16 = ImageTransformN16.from_processor(settings_, pad_to_square=pad)
        n17 = ImageTransformN17.from_processor({**settings_, "letter_box_transform": pad})
        assert n16.transform(image).shape == (*wanted, 3)
        np.testing.assert_array_equal(n16.transform(image), n17.transform(image))


def test_the_crop_takes_the_border_away() -> None:
    frame = np.full((100, 100, 3), 200, np.uint8)
    frame[:20], frame[-20:], frame[:, :20], frame[:, -20:] = 0, 0, 0, 0
    half = ImageTransformN17.from_processor({**RELEASED, "shortest_image_edge": 100, "crop_fraction": 0.5})
    whole = ImageTransformN17.from_processor({**RELEASED, "shortest_image_edge": 100, "crop_fraction": 1.0})
    assert (half.transform(frame) == 200).all()
    np.testing.assert_array_equal(whole.transform(frame), frame)


def test_the_crop_is_in_the_middle_and_an_odd_pixel_more_goes_from_the_end() -> None:
    transform = ImageTransformN17.from_processor({**RELEASED, "shortest_image_edge": 100})  # keeps 95: rows 2 to 96
    for kept, border in ((False, slice(0, 2)), (False, slice(97, 100)), (True, slice(0, 3)), (True, slice(96, 100))):
        rows, columns = np.zeros((2, 100, 100, 3), np.uint8)
        rows[border], columns[:, border] = 255, 255
        assert transform.transform(rows).any() == transform.transform(columns).any() == kept


def test_shrinking_takes_the_mean_of_an_area() -> None:
    frame = noise(180, 240, 10)
    ours = ImageTransformN17.from_processor({**RELEASED, "shortest_image_edge": 60, "crop_fraction": 1.0})
    means = frame.reshape(60, 3, 80, 3, 3).mean(axis=(1, 3))
    assert np.abs(ours.transform(frame) - means).max() <= 0.51


@given(st.integers(2, 40), st.integers(2, 40), seeds)
def test_padding_keeps_the_frame_in_the_middle_of_black(height: int, width: int, seed: int) -> None:
    frame = noise(height, width, seed)
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    wanted = np.zeros((side, side, 3), np.uint8)
    wanted[top : top + height, left : left + width] = frame
    np.testing.assert_array_equal(pad_to_square(frame), wanted)


def test_without_albumentations_the_chain_is_that_of_torchvision() -> None:
    settings_ = {"use_albumentations": False, "image_target_size": [60, 80], "image_crop_size": [51, 77]}
    frame = noise(90, 110, 9)
    planes = torch.from_numpy(frame).permute(2, 0, 1)[None]
    first = functional.interpolate(planes, (60, 80), mode="bilinear", antialias=True)
    cropped = first[:, :, 4:55, 2:79]  # (60 - 51) / 2 = 4.5 and (80 - 77) / 2 = 1.5 go to the even neighbor
    second = functional.interpolate(cropped, (60, 80), mode="bilinear", antialias=True)
    wanted = second[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(ImageTransformN17.from_processor(settings_).transform(frame), wanted)
    unpadded = ImageTransformN16.from_processor(settings_, pad_to_square=False)
    np.testing.assert_array_equal(unpadded.transform(frame), wanted)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"crop_fraction": 0.0}, "crop_fraction"),
        ({"crop_fraction": 1.5}, "crop_fraction"),
        ({"crop_fraction": "0.95"}, "crop_fraction"),
        ({"crop_fraction": None}, "image_crop_size"),
        ({"shortest_image_edge": None}, "image_target_size"),
        ({"shortest_image_edge": 0}, "shortest_image_edge"),
        ({"shortest_image_edge": 10**9}, "shortest_image_edge"),
        ({"shortest_image_edge": True}, "shortest_image_edge"),
        ({"letter_box_transform": 1}, "letter_box_transform"),
        ({"use_albumentations": "yes"}, "use_albumentations"),
        ({"use_albumentations": False}, "image_crop_size"),
        ({"image_crop_size": [230]}, "image_crop_size"),
        ({"image_target_size": [0, 256]}, "image_target_size"),
        ({"crop_fraction": None, "image_crop_size": [300, 300], "image_target_size": [256, 256]}, "image_crop_size"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(change: dict[str, Any], named: str) -> None:
    for family in (ImageTransformN16, ImageTransformN17):
        with pytest.raises(CheckpointError, match=rf"processor_kwargs\.{named}"):
            family.from_processor({**RELEASED, **change})


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(CheckpointError) as caught:
        ImageTransformN17.from_processor({**RELEASED, "crop_fraction": 7, "shortest_image_edge": -1})
    assert "crop_fraction" in str(caught.value) and "shortest_image_edge" in str(caught.value)


json_values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=3)
)


@given(st.dictionaries(st.sampled_from([*CROP_TARGET, "letter_box_transform"]), json_values))
@settings(max_examples=150, deadline=None)
def test_any_settings_give_a_transform_or_a_checkpoint_error(change: dict[str, Any]) -> None:
    for family in (ImageTransformN16, ImageTransformN17):
        with contextlib.suppress(CheckpointError):
            assert callable(family.from_processor({**RELEASED, **change}).chain)


# --- N1.6 and N1.7: size and layout


@given(st.integers(1, 7000), st.integers(1, 7000))
@settings(max_examples=200)
def test_n16_sizes_are_whole_tokens_within_the_limits(height: int, width: int) -> None:
    transform = ImageTransformN16.from_processor(RELEASED)
    rows, columns = transform.fitted(height, width)
    assert rows % 28 == columns % 28 == 0
    assert 4 <= rows * columns // 28**2 <= 4096
    assert transform.fitted(rows, columns) == (rows, columns)


@pytest.mark.parametrize(
    ("size", "n16", "n17"),
    [
        ((256, 256), (252, 252), (256, 256)),
        ((256, 340), (252, 336), (256, 352)),
        ((427, 256), (420, 252), (416, 256)),
        ((224, 224), (224, 224), (256, 256)),  # N1.7 has a least area
        ((28, 28), (56, 56), (256, 256)),
        ((238, 266), (224, 280), (256, 288)),  # N1.6: 8.5 and 9.5 tokens go to the even neighbor
        ((3000, 3000), (1792, 1792), (3008, 3008)),
        ((5000, 5000), (1792, 1792), (4096, 4096)),
    ],
)
def test_sizes_that_the_image_processors_choose(
    size: tuple[int, int], n16: tuple[int, int], n17: tuple[int, int]
) -> None:
    assert ImageTransformN16.from_processor(RELEASED).fitted(*size) == n16
    assert ImageTransformN17.from_processor(RELEASED).fitted(*size) == n17


@given(st.integers(1, 5000), st.integers(1, 5000))
@settings(max_examples=200)
def test_n17_sizes_are_whole_tokens_within_the_limits(height: int, width: int) -> None:
    rows, columns = ImageTransformN17.from_processor(RELEASED).fitted(height, width)
    assert rows % 32 == columns % 32 == 0
    assert 65536 <= rows * columns <= 16777216


def test_n17_patches_are_the_image_block_by_block() -> None:
    image = noise(64, 96, 4)
    transform = ImageTransformN17(chain=lambda frame: frame, min_pixels=1024)
    result = transform(image)
    assert result.grid == (4, 6) and result.tokens == 6
    patches = result.pixels.reshape(2, 3, 2, 2, 3, 2, 16, 16)  # block row, block column, row, column, channel, time
    tower = to_tower(image)
    for place in np.ndindex(2, 3, 2, 2):
        top, left = 16 * (2 * place[0] + place[2]), 16 * (2 * place[1] + place[3])
        for moment in range(2):
            assert torch.equal(patches[place][:, moment], tower[:, top : top + 16, left : left + 16])


def test_black_and_white_become_minus_one_and_one() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[1] = 255
    tower = to_tower(image)
    assert tower.shape == (3, 2, 3)
    assert (tower[:, 0] == -1).all() and (tower[:, 1] == 1).all()


# --- several cameras and time steps


def picture(name: int, size: tuple[int, int] = (256, 256)) -> ImageInput:
    return ImageInput(torch.full((1,), float(name)), (1, 1), 1, size)


def order(family: Family, views: list[list[ImageInput]]) -> list[float]:
    return [float(image.pixels) for image in in_prompt_order(family, views)]


def test_time_steps_come_first_and_cameras_within_them() -> None:
    views = [[picture(0), picture(1)], [picture(10), picture(11)]]
    for family in Family:
        assert order(family, views) == [0, 10, 1, 11]


def test_n16_goes_camera_by_camera_where_sizes_differ() -> None:
    views = [[picture(0), picture(1)], [picture(10, (256, 340)), picture(11, (256, 340))]]
    assert order(Family.N16, views) == [0, 1, 10, 11]
    for family in (Family.N15, Family.N17):
        with pytest.raises(SpecMismatch, match="one size"):
            in_prompt_order(family, views)
        assert order(family, [view[:1] for view in views]) == [0, 10]


def test_cameras_with_different_numbers_of_steps_are_refused() -> None:
    with pytest.raises(SpecMismatch, match=r"\[1, 2\]"):
        in_prompt_order(Family.N17, [[picture(0)], [picture(1), picture(2)]])


# --- the comparison itself


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., list[Difference]]:
    """Compares a folder that this implementation recorded, after a change to its arrays; returns what is over."""
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text(json.dumps({"model_type": Family.N16.model_type}))
    (tmp_path / "checkpoint" / "processor_config.json").write_text(json.dumps({"processor_kwargs": RELEASED}))
    frame = noise(60, 80, 2)
    arrays: dict[str, np.ndarray] = {"wide/raw.0": frame}
    for case, pad in (("wide", True), ("nopad_wide", False)):
        transform = ImageTransformN16.from_processor(RELEASED, pad_to_square=pad)
        arrays[f"{case}/transformed.0"] = transform.transform(frame)
        result = transform(frame)
        arrays[f"{case}/pixel_values.0"] = result.pixels.numpy()[None]
        arrays[f"{case}/n_image_tokens"] = np.array(result.tokens)

    def compare(change: Callable[[dict[str, Any]], object] = lambda arrays: None) -> list[Difference]:
        changed = {name: array.copy() for name, array in arrays.items()}
        change(changed)
        np.savez_compressed(tmp_path / FILE, **changed)
        return [line for line in compare_images(tmp_path) if not line.ok]

    return compare


def test_the_comparison_passes_what_this_implementation_recorded(
    recorded: Callable[..., list[Difference]], tmp_path: Path
) -> None:
    assert recorded() == []
    assert len(list(compare_images(tmp_path))) == 6


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda arrays: arrays["wide/pixel_values.0"].__iadd__(1e-5), "wide/pixel_values.0"),
        (lambda arrays: arrays.update({"wide/pixel_values.0": np.zeros(3)}), "wide/pixel_values.0"),
        (lambda arrays: arrays["nopad_wide/n_image_tokens"].__iadd__(1), "nopad_wide/n_image_tokens"),
        (lambda arrays: arrays["wide/raw.0"].fill(9), "wide/transformed.0"),
        (lambda arrays: arrays.pop("wide/pixel_values.0"), "wide/pixel_values.0 (is missing)"),
        (lambda arrays: arrays.update({"wide/strange": np.zeros(1)}), "wide/strange (is not known)"),
        (lambda arrays: arrays.clear(), "(has no case)"),
    ],
)
def test_the_comparison_notices(recorded: Callable[..., list[Difference]], change: Any, field: str) -> None:
    assert field in [line.field for line in recorded(change)]


@pytest.mark.parametrize("name", ["raw.0", "transformed.0"])
@pytest.mark.parametrize("array", [np.zeros((4, 4, 3)), np.zeros((4, 4, 1), np.uint8), np.zeros(3, np.uint8)])
def test_the_comparison_survives_arrays_that_are_no_images(
    recorded: Callable[..., list[Difference]], name: str, array: np.ndarray
) -> None:
    assert recorded(lambda arrays: arrays.update({f"wide/{name}": array}))


def test_a_damaged_file_is_told_and_never_raised(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text(json.dumps({"model_type": Family.N15.model_type}))
    np.savez_compressed(tmp_path / FILE, **{"a/raw.0": noise(4, 4)})
    whole = (tmp_path / FILE).read_bytes()
    inverted = (whole[:i] + bytes([whole[i] ^ 255]) + whole[i + 1 :] for i in range(len(whole)))
    for damaged in (*inverted, *(whole[:i] for i in range(0, len(whole), 5))):
        (tmp_path / FILE).write_bytes(damaged)
        assert not any(line.ok for line in compare_images(tmp_path))


def test_a_pipe_in_place_of_the_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text(json.dumps({"model_type": Family.N15.model_type}))
    os.mkfifo(tmp_path / FILE)
    (line,) = compare_images(tmp_path)
    assert not line.ok and "not a regular file" in line.field
