"""Two runs against each other: what may be compared, what is paired, and what the numbers are by their definition."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import write_run

pd = pytest.importorskip("pandas")

from groot_bench.analysis import contrasts  # noqa: E402
from groot_bench.analysis.comparable import require_comparable  # noqa: E402
from groot_bench.analysis.comparison import Comparison, compare  # noqa: E402
from groot_bench.analysis.frame import load  # noqa: E402
from groot_bench.analysis.table import Difference, PValue, Rate  # noqa: E402
from groot_bench.episode import MOST_TASKS, parts_of  # noqa: E402
from groot_bench.errors import ManifestMismatch, UnknownName, UsageError  # noqa: E402
from groot_bench.record import EPISODES, MANIFEST  # noqa: E402
from groot_bench.stats.paired import PairTable, mcnemar, paired_difference  # noqa: E402
from groot_bench.stats.unpaired import barnard, newcombe  # noqa: E402

Outcomes = dict[str, str]


@pytest.fixture
def against(tmp_path: Path) -> Callable[..., Comparison]:
    """Compares runs of such outcomes; options of the first run, of the second, and of `compare`."""
    numbers = itertools.count()

    def make(a: Outcomes, b: Outcomes, first: Any = None, second: Any = None, **options: Any) -> Comparison:
        folder = tmp_path / str(next(numbers))
        one = load(write_run(folder / "one", a, policy="pa", **(first or {})))
        two = load(write_run(folder / "two", b, policy="pb", **(second or {})))
        return compare(one, two, **options)

    return make


def by_hand(a: str, b: str) -> PairTable:
    """The table of two rows of letters, by its definition."""
    pairs = [pair for pair in zip(a, b, strict=True) if not set(pair) - {"s", "f"}]
    return PairTable(*(pairs.count(pair) for pair in (("s", "s"), ("s", "f"), ("f", "s"), ("f", "f"))))


rows = st.lists(st.tuples(st.sampled_from("sf"), st.sampled_from("sf")), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["x", "y", "z"]), rows, min_size=1))
def test_numbers_are_those_of_the_pairs(against: Callable[..., Comparison], letters: dict[str, Any]) -> None:
    a = {task: "".join(one for one, _ in row) for task, row in letters.items()}
    b = {task: "".join(two for _, two in row) for task, row in letters.items()}
    comparison = against(a, b)
    assert [line.task for line in comparison.lines] == list(letters)
    whole = by_hand("".join(a.values()), "".join(b.values()))
    tables = [*(by_hand(a[task], b[task]) for task in letters), whole]
    for line, table in zip([*comparison.lines, comparison.total], tables, strict=True):
        value, interval = paired_difference(table)
        p = mcnemar(table.only_a, table.only_b)
        assert line.contrast.table == table
        assert line.contrast.difference == Difference(value, interval, table.n, p)
        assert line.a == Rate.of(table.both + table.only_a, table.n)
        assert line.b == Rate.of(table.both + table.only_b, table.n)


@pytest.mark.parametrize("paired", [True, False])
def test_part_is_compared_as_a_run_of_its_tasks_alone(against: Callable[..., Comparison], paired: bool) -> None:
    a = {"one/camera/x": "sssf", "one/noise/y": "ssff", "two/camera/z": "ffsf", "two/noise/w": "sfsf"}
    b = {"one/camera/x": "ffsf", "one/noise/y": "fsff", "two/camera/z": "fsss", "two/noise/w": "ffff"}
    whole = against(a, b, paired=paired)
    assert [line.task for line in whole.parts] == ["one", "camera", "noise", "two"]
    for line in whole.parts:
        inside = [task for task in a if line.task in parts_of(task)]
        alone = against({task: a[task] for task in inside}, {task: b[task] for task in inside}, paired=paired).total
        assert (line.a, line.b, line.contrast) == (alone.a, alone.b, alone.contrast)
        assert line.corrected is not None and line.contrast.difference.p is not None
        assert line.contrast.difference.p <= line.corrected <= len(whole.parts) * line.contrast.difference.p
    shown = [row[0] for row in whole.table().rows]
    assert shown[:9] == [*a, "one", "camera", "noise", "two", "total"]
    assert [line["task"] for line in whole.to_json()["parts"]] == ["one", "camera", "noise", "two"]


def test_of_very_many_tasks_the_table_has_the_parts_and_json_all(against: Callable[..., Comparison]) -> None:
    outcomes = {f"{part}/{number}": "s" for part in ("one", "two") for number in range(MOST_TASKS // 2 + 1)}
    whole = against(outcomes, outcomes)
    assert [row[0] for row in whole.table().rows][:3] == ["one", "two", "total"]
    assert f"{MOST_TASKS + 2} tasks are not listed one by one; --json has them." in whole.table().notes
    assert len(whole.to_json()["tasks"]) == MOST_TASKS + 2


def test_total_is_the_test_that_is_stratified_by_task(against: Callable[..., Comparison]) -> None:
    """Brute force: if the policies are equal, each discordant pair is a fair coin, whatever its task."""
    a, b = {"x": "ssssf", "y": "sf"}, {"x": "ffffs", "y": "fs"}
    signs = [1, 1, 1, 1, -1, 1, -1]
    seen = abs(sum(signs))
    likely = sum(abs(sum(flip)) >= seen for flip in itertools.product((1, -1), repeat=len(signs))) / 2 ** len(signs)
    assert against(a, b).total.contrast.difference.p == pytest.approx(likely)


def swapped(difference: Difference) -> Difference:
    assert difference.value is not None and difference.interval is not None
    low, high = difference.interval
    return Difference(-difference.value, type(difference.interval)(-high, -low), difference.n, difference.p)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    letters=st.lists(
        st.lists(st.tuples(st.sampled_from("sf"), st.sampled_from("sf")), min_size=3, max_size=6),
        min_size=6,
        max_size=6,
    )
)
@pytest.mark.parametrize("paired", [True, False])
def test_order_of_the_runs_turns_the_signs_and_nothing_else(
    against: Callable[..., Comparison], letters: Any, paired: bool
) -> None:
    a = {f"t{i}": "".join(one for one, _ in row) for i, row in enumerate(letters)}
    b = {f"t{i}": "".join(two for _, two in row) for i, row in enumerate(letters)}
    there, back = against(a, b, paired=paired), against(b, a, paired=paired)
    for one, two in zip([*there.lines, there.total], [*back.lines, back.total], strict=True):
        assert (one.a, one.b, one.corrected, one.more) == (two.b, two.a, two.corrected, two.more)
        close(one.contrast.difference, swapped(two.contrast.difference))
    assert (there.over_tasks is None) == (back.over_tasks is None)
    if there.over_tasks is not None and back.over_tasks is not None:
        close(there.over_tasks, swapped(back.over_tasks))


def close(one: Difference, two: Difference) -> None:
    assert (one.n, one.p) == (two.n, two.p)
    assert (one.value, *(one.interval or ())) == pytest.approx((two.value, *(two.interval or ())), abs=1e-12)


def test_order_of_tasks_and_lines_changes_no_number(tmp_path: Path) -> None:
    a, b = {"x": "ssfs", "y": "sfff", "z": "s"}, {"z": "f", "x": "fsff", "y": "ssff"}
    one, two = write_run(tmp_path / "one", a), write_run(tmp_path / "two", b)
    first = compare(load(one), load(two))
    lines = (two / EPISODES).read_text().splitlines(keepends=True)
    (two / EPISODES).write_text("".join(reversed(lines)))
    assert compare(load(one), load(two)) == first
    assert first.lines[0].contrast.table == by_hand(a["x"], b["x"])


def test_only_common_episodes_are_compared_and_the_rest_is_told(against: Callable[..., Comparison]) -> None:
    comparison = against({"x": "ssf", "only": "ss"}, {"x": "sf"})
    assert comparison.total.contrast.table == by_hand("ss", "sf")
    assert comparison.notes[-1] == "3 episodes of one are not in the other run's list and are left out."
    with pytest.raises(UsageError, match="no episode in common"):
        against({"x": "s"}, {"y": "s"})


def test_equal_seeds_with_different_scenes_are_refused(against: Callable[..., Comparison]) -> None:
    with pytest.raises(UsageError, match=r"2 of 2 pairs have equal seeds and different scenes, task 'x' index 0 first"):
        against({"x": "ss"}, {"x": "sf"}, second={"scenes": "other"})
    assert against({"x": "ss"}, {"x": "sf"}, second={"scenes": "other"}, paired=False).total.b == Rate.of(1, 2)
    with pytest.raises(UsageError, match="have another seed in one than in two"):
        against({"x": "ss"}, {"x": "sf"}, second={"seed": 1})


def test_scene_without_a_hash_is_told(against: Callable[..., Comparison]) -> None:
    comparison = against({"x": "ss"}, {"x": "sf"}, second={"scene_hash": None})
    assert comparison.notes[0].startswith("2 pairs have no scene hash")


def test_errors_are_refused_or_shown_under_both_denominators(against: Callable[..., Comparison]) -> None:
    a, b = {"x": "sesf", "y": "se"}, {"x": "ffse", "y": "fe"}
    with pytest.raises(UsageError, match=r"2 of one and 2 of two.*--retry-errors.*--errors both"):
        against(a, b)
    comparison = against(a, b, errors="both")
    total = comparison.total
    assert (total.a, total.b) == (Rate.of(3, 4, 2), Rate.of(1, 4, 2))
    assert total.contrast.table == PairTable(1, 2, 0, 0)
    assert total.pessimistic is not None and total.pessimistic.table == PairTable(1, 2, 0, 3)
    text = comparison.table().to_markdown()
    assert "3/4 = 75.0 %" in text and "2 errors; as failures: 3/6 = 50.0 %" in text
    apart = against(a, b, errors="both", paired=False).total
    assert apart.pessimistic is not None and apart.pessimistic.difference.value == pytest.approx(2 / 6)


def test_run_that_is_not_finished_is_refused_or_cut_to_what_both_have(against: Callable[..., Comparison]) -> None:
    a, b = {"x": "smsf"}, {"x": "sffm"}
    with pytest.raises(UsageError, match=r"without a record: 1 of one and 1 of two.*--unfinished"):
        against(a, b)
    comparison = against(a, b, unfinished=True)
    assert comparison.total.contrast.table == by_hand("ss", "sf")
    assert (comparison.total.a, comparison.total.b) == (Rate.of(2, 2), Rate.of(1, 2))
    assert "Unfinished: 1 of one and 1 of two" in comparison.notes[0]


def test_p_values_are_corrected_over_the_tasks_that_have_one(against: Callable[..., Comparison]) -> None:
    a = {"x": "s" * 10, "y": "s" * 6 + "f" * 4, "z": "e"}
    b = {"x": "f" * 10, "y": "f" * 10, "z": "s"}
    for name, factors, level in (("holm", (2, 1), "0.05/2 in a task and 0.05 over all."), ("bh", (2, 1), "0.05.")):
        compared = against(a, b, errors="both", correction=name)
        x, y, z = compared.lines
        notes = "\n".join(compared.table().notes)
        assert "corrected over the tasks, 2 in number." in notes and f"power at level {level}" in notes
        assert x.corrected == pytest.approx(factors[0] * mcnemar(10, 0))
        assert y.corrected == pytest.approx(factors[1] * mcnemar(6, 0))
        assert z.corrected is None and z.contrast.difference.p is None and z.more is None
        assert x.more == 0, "decided"
    with pytest.raises(UsageError, match="holm or bh"):
        against(a, b, correction="none")


def test_more_episodes_reach_the_power_that_they_promise(against: Callable[..., Comparison]) -> None:
    from groot_bench.stats.power import power_paired

    line = against({"x": "ssssf" * 4}, {"x": "sssff" * 3 + "sssss"}).lines[0]
    table, more = line.contrast.table, line.more
    assert table is not None and more is not None and more > 0
    power = power_paired(table.only_a / table.n, table.only_b / table.n, table.n + more)
    assert power == pytest.approx(contrasts.POWER, abs=0.05)
    assert against({"x": "sf"}, {"x": "fs"}).lines[0].more is None, "no number tells equal rates apart"


def test_unpaired_numbers_are_barnards_and_newcombes(against: Callable[..., Comparison]) -> None:
    comparison = against({"x": "ssssf"}, {"x": "sffffff"}, second={"seed": 9}, paired=False)
    for line in (*comparison.lines, comparison.total):
        difference = line.contrast.difference
        assert difference.value == pytest.approx(4 / 5 - 1 / 7)
        assert (difference.interval, difference.n) == (newcombe(4, 5, 1, 7), 12)
        assert difference.p == barnard(4, 5, 1, 7)


def test_unpaired_total_is_stratified_by_task(against: Callable[..., Comparison]) -> None:
    """One policy is better in each task and worse in the pool (Simpson): the total must say better."""
    a = {"easy": "s" * 9 + "f", "hard": "s" * 30 + "f" * 60}
    b = {"easy": "s" * 72 + "f" * 18, "hard": "s" * 2 + "f" * 8}
    total = against(a, b, paired=False).total
    assert total.a.value is not None and total.b.value is not None and total.a.value < total.b.value
    difference = total.contrast.difference
    weights = [10 * 90 / 100, 90 * 10 / 100]
    assert difference.value == pytest.approx(np.average([0.9 - 0.8, 30 / 90 - 0.2], weights=weights))
    excess = (9 - 10 * 81 / 100) + (30 - 90 * 32 / 100)
    variance = 10 * 90 * 81 * 19 / (100**2 * 99) + 90 * 10 * 32 * 68 / (100**2 * 99)
    assert difference.p == pytest.approx(math.erfc(abs(excess) / math.sqrt(2 * variance)))


def test_unpaired_total_agrees_with_statsmodels_definition_of_one_stratum() -> None:
    """Of one table, Cochran, Mantel and Haenszel's statistic is (n - 1)/n of Pearson's."""
    a, b = np.array([700, 1300]), np.array([900, 1500])
    z = (700 / 2000 - 900 / 2400) / math.sqrt(1600 / 4400 * 2800 / 4400 * (1 / 2000 + 1 / 2400))
    p = contrasts.unpaired(a, b).difference.p
    assert p == pytest.approx(math.erfc(abs(z) * math.sqrt(4399 / 4400) / math.sqrt(2)))


def test_unpaired_total_of_like_tasks_is_as_sure_as_their_pool(against: Callable[..., Comparison]) -> None:
    a, b = {f"t{i}": "s" * 30 + "f" * 20 for i in range(10)}, {f"t{i}": "s" * 20 + "f" * 30 for i in range(10)}
    interval = against(a, b, paired=False).total.contrast.difference.interval
    assert interval is not None and tuple(interval) == pytest.approx(tuple(newcombe(300, 500, 200, 500)))


def test_unpaired_total_covers_the_difference_of_unlike_tasks() -> None:
    generator = np.random.default_rng(7)
    rates = np.array([0.02, 0.1, 0.3, 0.5, 0.8, 0.9, 0.97, 1.0])
    better = np.minimum(rates + 0.05, 1.0)
    n_a, n_b, tries, hits = np.array([20, 5] * 4), np.array([10, 10] * 4), 500, 0
    weights = n_a * n_b / (n_a + n_b)
    truth = np.average(better - rates, weights=weights)
    for _ in range(tries):
        a, b = generator.binomial(n_a, better), generator.binomial(n_b, rates)
        interval = contrasts.unpaired_total(np.stack([a, n_a - a], 1), np.stack([b, n_b - b], 1)).difference.interval
        assert interval is not None
        hits += interval.low <= truth <= interval.high
    assert hits / tries >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / tries)


def test_mean_over_tasks_needs_five_tasks_and_has_a_wider_interval(against: Callable[..., Comparison]) -> None:
    row_a, row_b = "ssssssffff", "sssfffffff"
    few = {f"t{i}": row_a for i in range(4)}
    too_few = against(few, {task: row_b for task in few})
    assert too_few.over_tasks is None
    assert too_few.notes[0].startswith("mean over tasks like these: unknown, since 4 tasks say too little")
    a = {f"t{i}": row_a if i % 2 else row_b for i in range(8)}
    comparison = against(a, {task: row_b for task in a})
    mean, total = comparison.over_tasks, comparison.total.contrast.difference
    assert mean is not None and mean.interval is not None and total.interval is not None
    assert mean.value == pytest.approx(total.value) and mean.n == 80
    assert mean.interval.high - mean.interval.low > total.interval.high - total.interval.low


def test_two_protocols_or_suites_or_runs_in_a_frame_are_refused(
    against: Callable[..., Comparison], tmp_path: Path
) -> None:
    changed = {"changed": {"actions_per_query": 4}}
    with pytest.raises(UsageError, match=r"under 'toy/v1' \[\w+\], two under 'toy/v1 \(actions_per_query=4\)'"):
        against({"x": "s"}, {"x": "s"}, second=changed)
    allowed = against({"x": "s"}, {"x": "s"}, second=changed, ignore=["protocol.actions_per_query"])
    assert allowed.table().head[1:3] == ("one under toy/v1", "two under toy/v1 (actions_per_query=4)")
    with pytest.raises(UsageError, match="of suite 'toy', two of 'robosuite'"):
        against({"x": "s"}, {"x": "s"}, second={"suite": "robosuite"})
    both = load(write_run(tmp_path / "p", {"x": "s"}), write_run(tmp_path / "q", {"x": "s"}))
    with pytest.raises(UsageError, match="a frame of one run on each side, with one run; got 'p', 'q'"):
        compare(both, both)
    with pytest.raises(UsageError, match="got no episode"):
        compare(both.iloc[:0], both)


MAY_DIFFER = [
    ("policy", "name"),
    ("policy", "settings", "x"),
    ("reads",),
    ("retarget",),
    ("protocol", "episodes_per_task"),
]
MUST_NOT = [
    *(("protocol", "success_rule"), ("protocol", "step_caps", "Reach"), ("suite", "version"), ("groot_bench",)),
    *(("suite", "packages", "numpy"), ("suite", "settings", "x"), ("seed",)),
]


def manifests(tmp_path: Path, field: tuple[str, ...]) -> list[dict[str, Any]]:
    """Two equal manifests but for one field."""
    one = json.loads((write_run(tmp_path / "one", {"x": "s"}) / MANIFEST).read_text())
    two = json.loads(json.dumps(one))
    inner = two["experiment"]
    for name in field[:-1]:
        inner = inner[name]
    inner[field[-1]] = "another"
    return [one, two]


@pytest.mark.parametrize("field", MAY_DIFFER)
def test_what_a_policy_is_may_differ(tmp_path: Path, field: tuple[str, ...]) -> None:
    assert require_comparable(*manifests(tmp_path, field), names=("a", "b")) == {}


@pytest.mark.parametrize("field", MUST_NOT)
def test_what_is_measured_must_not_differ_unless_it_is_named(tmp_path: Path, field: tuple[str, ...]) -> None:
    dotted, pair = ".".join(field), manifests(tmp_path, field)
    with pytest.raises(ManifestMismatch, match=re.escape(f"  {dotted}: ")) as refused:
        require_comparable(*pair, names=("a", "b"))
    assert ("--unpaired" in str(refused.value)) == (field == ("seed",))
    for name in (dotted, field[0]):
        assert list(require_comparable(*pair, names=("a", "b"), ignore=[name])) == [dotted]
    with pytest.raises(ManifestMismatch):
        require_comparable(*pair, names=("a", "b"), ignore=["graphics"])
    with pytest.raises(UnknownName, match=r"'sed'; did you mean 'seed'"):
        require_comparable(*pair, names=("a", "b"), ignore=["sed"])


def test_graphics_may_differ_where_one_policy_sees_nothing(tmp_path: Path) -> None:
    one, two = manifests(tmp_path, ("graphics",))
    assert require_comparable(one, two, ("a", "b")) == {}
    one["experiment"]["graphics"] = "egl"
    with pytest.raises(ManifestMismatch, match="graphics"):
        require_comparable(one, two, ("a", "b"))


def test_unpaired_runs_may_have_other_seeds(tmp_path: Path) -> None:
    assert require_comparable(*manifests(tmp_path, ("seed",)), names=("a", "b"), paired=False) == {}


def test_cells_of_the_table_all_have_their_n(tmp_path: Path) -> None:
    outcomes = [{f"t{i}": letters for i in range(6)} for letters in ("ssfsf", "sffsf")]
    one, two = (load(write_run(tmp_path / name, part)) for name, part in zip(("one", "two"), outcomes, strict=True))
    for paired in (True, False):
        table = compare(one, two, paired=paired).table()
        for row in table.rows:
            assert all(isinstance(value, (Rate, Difference, PValue, str, int)) for value in row)
            assert all(value.n for value in row if isinstance(value, (Rate, Difference, PValue)))
