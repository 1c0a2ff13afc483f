"""No row depends on another: alone, in any place, with any neighbors, at any length, a row has the same bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import make_model, make_row

from groot_bench.errors import UnknownName
from groot_bench.models.collate import Row, collate
from groot_bench.models.engine import Engine, bucket
from groot_bench.models.family import Family
from groot_bench.models.model import Gr00t

FAMILIES = list(Family)
MODELS = {family: make_model(family) for family in FAMILIES}


def engine(model: Gr00t, layout: str = "single", **options: object) -> Engine:
    return Engine(model, pad=1, layout=layout, **options)  # type: ignore[arg-type]


def rows(family: Family, words: Sequence[int], images: int = 1, seed: int = 3) -> list[Row]:
    random = np.random.default_rng(seed)
    return [make_row(MODELS[family], random, count, images) for count in words]


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(5)), count=st.integers(1, 5))
def test_row_has_the_same_bits_in_any_company(family: Family, order: list[int], count: int) -> None:
    all_rows = rows(family, [4, 30, 6, 6, 12])
    alone = [engine(MODELS[family]).run([row])[0] for row in all_rows]
    chosen = order[:count]
    together = engine(MODELS[family]).run([all_rows[place] for place in chosen])
    for place, actions in zip(chosen, together, strict=True):
        assert actions.tobytes() == alone[place].tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_padded_batches_agree_with_rows_alone(family: Family) -> None:
    """The layout of GPUs, on the CPU: other sums, so not the same bits, but no neighbor and no padding shows."""
    all_rows = rows(family, [4, 70, 6, 6, 12])
    alone = engine(MODELS[family]).run(all_rows)
    for size in (1, 2, 3):
        padded = engine(MODELS[family], "bucketed", batch_size=size).run(all_rows)
        np.testing.assert_allclose(padded, alone, atol=2e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_padded_row_has_fixed_shapes_whatever_its_neighbors(family: Family) -> None:
    model = MODELS[family]
    short, long = rows(family, [4, 20])
    shapes = set()
    for pair in ([short, short], [short, long], [long, long]):
        batch = collate(model.config, pair, 64, 1, fixed=True)
        tensors = [batch.mask, *[part for kind in batch.sets for part in kind]]
        shapes.add(tuple(None if tensor is None else tuple(tensor.shape) for tensor in tensors))
    assert len(shapes) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_checked_and_found_independent(family: Family) -> None:
    check = engine(MODELS[family]).check(rows(family, [4, 30, 9]))
    assert check.equal
    assert check.difference == 0.0


@pytest.mark.parametrize("family", [Family.N15, Family.N17])
def test_upstream_padding_makes_rows_depend_on_their_neighbors(family: Family) -> None:
    """What the originals do, and what the check is for."""
    all_rows = rows(family, [4, 30])
    upstream = engine(MODELS[family], "upstream")
    assert not upstream.check(all_rows).equal
    assert upstream.check(all_rows).difference > 1e-2
    np.testing.assert_allclose(upstream.run(all_rows[:1]), engine(MODELS[family]).run(all_rows[:1]), atol=1e-5)


def test_upstream_padding_is_masked_in_n16() -> None:
    all_rows = rows(Family.N16, [4, 30])
    assert engine(MODELS[Family.N16], "upstream").check(all_rows).difference < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_with_other_images_run_in_batches_of_their_own(family: Family) -> None:
    mixed = [*rows(family, [6, 6], images=1), *rows(family, [6], images=2)]
    alone = engine(MODELS[family]).run(mixed)
    np.testing.assert_allclose(engine(MODELS[family], "bucketed", batch_size=3).run(mixed), alone, atol=2e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_input_matters(family: Family) -> None:
    (row,) = rows(family, [8])
    run = engine(MODELS[family]).run
    base = run([row])

    def changed(**fields: object) -> float:
        other = Row(**{**row.__dict__, **fields})  # type: ignore[arg-type]
        return float(np.abs(run([other]) - base).max())

    ids = row.ids.copy()
    ids[0] = 9
    assert changed(ids=ids) > 1e-3
    assert changed(images=[image + 1 for image in row.images]) > 1e-3
    assert changed(state=row.state + 1) > 1e-3
    assert changed(noise=-row.noise) > 1e-3
    assert changed(slot=(row.slot + 1) % 5) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_global_generator_of_torch_is_neither_read_nor_written(family: Family) -> None:
    all_rows = rows(family, [8])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = engine(MODELS[family]).run(all_rows)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert engine(MODELS[family]).run(all_rows).tobytes() == one.tobytes()


def test_every_length_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past 8 shapes torch by itself goes on without compiling. Here a short computation and no code generator stand for
    the model and the real one."""
    seen: list[object] = []
    compiler = torch.compile

    def count(graph: torch.fx.GraphModule, inputs: object) -> Callable[..., object]:
        seen.append(inputs)
        return graph.forward

    def cheap(function: Callable[..., object], dynamic: bool, fullgraph: bool, mode: str) -> Callable[..., object]:
        return compiler(function, backend=count, dynamic=dynamic, fullgraph=fullgraph)

    monkeypatch.setattr(torch, "compile", cheap)
    monkeypatch.setattr(Engine, "_compute", lambda self, batch: batch.noise * batch.inputs.ids.sum())
    torch._dynamo.reset()
    model, random = make_model(Family.N16), np.random.default_rng(4)
    with torch._dynamo.config.patch(recompile_limit=8):
        one = Engine(model, pad=1, layout="bucketed", compiled=True)
        for words in range(20, 64 * 12, 64):
            one.run([make_row(model, random, words)])
    assert len(seen) == 12


@pytest.mark.slow
@pytest.mark.parametrize("family", MODELS)
def test_the_whole_path_is_one_graph(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """A break in it would split CUDA's graph and slow every query; `fullgraph` makes one an error. Here torch traces
    it and runs the trace, without a code generator."""
    compiler = torch.compile

    def traced(function: Callable[..., object], dynamic: bool, fullgraph: bool, mode: str) -> Callable[..., object]:
        assert fullgraph
        return compiler(function, backend="eager", dynamic=dynamic, fullgraph=fullgraph)

    monkeypatch.setattr(torch, "compile", traced)
    torch._dynamo.reset()
    plain, model, all_rows = engine(make_model(family), layout="bucketed"), make_model(family), rows(family, [8])
    found = Engine(model, pad=1, layout="bucketed", compiled=True).run(all_rows)
    assert np.allclose(found, plain.run(all_rows), atol=1e-4)


def test_bfloat16_stays_near() -> None:
    model = make_model(Family.N16)
    all_rows = rows(Family.N16, [8])
    exact = engine(model).run(all_rows)
    other = make_model(Family.N16).to(torch.bfloat16)  # the first one belongs to its engine
    rough = engine(other, dtype=torch.bfloat16).run(all_rows)
    assert 0 < np.linalg.norm(rough - exact) / np.linalg.norm(exact) < 0.2


def test_unknown_layout_is_refused() -> None:
    with pytest.raises(UnknownName, match="bucketed"):
        engine(MODELS[Family.N16], "buckets")


@pytest.mark.parametrize(("length", "padded"), [(1, 64), (64, 64), (65, 128), (300, 320)])
def test_padded_length_follows_from_the_length(length: int, padded: int) -> None:
    assert bucket(length) == padded
