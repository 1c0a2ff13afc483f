"""Published numbers: every row is checked, and stands beside a run only under the same protocol and tasks."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

pd = pytest.importorskip("pandas")

from groot_bench.analysis import published  # noqa: E402
from groot_bench.analysis.published_rows import DISAGREE, FIELDS  # noqa: E402
from groot_bench.analysis.table import Rate  # noqa: E402
from groot_bench.errors import RecordError, UsageError  # noqa: E402

GOOD = {
    "suite": "libero",
    "protocol": "libero/oft-50",
    "model": "M",
    "variant": "joint",
    "task": "mean",
    "tasks": "2",
    "rate": "90.0",
    "rate_low": "",
    "rate_high": "",
    "successes": "45",
    "n": "50",
    "seeds": "1",
    "source": "README",
    "evidence": "R",
    "note": "",
}


def write(folder: Path, *rows: dict[str, str], name: str = "libero.csv") -> Path:
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def run_frame(outcomes: dict[str, str], protocol: str = "libero/oft-50", suite: str = "libero", run: str = "r") -> Any:
    """An episode frame with the columns that are read; "sfem" are the outcomes of a task's episodes."""
    words = {"s": "success", "f": "failure", "e": "error", "m": "missing"}
    rows = [
        {
            "run": run,
            "suite": suite,
            "protocol": protocol,
            "protocol_id": f"id of {protocol}",
            "policy": "p",
            "unpinned": "",
            "task": task,
            "outcome": words[letter],
        }
        for task, letters in outcomes.items()
        for letter in letters
    ]
    columns = ["run", "suite", "protocol", "protocol_id", "policy", "unpinned", "task", "outcome"]
    return pd.DataFrame(rows, columns=columns).astype("category")


def names(table: Any) -> list[str]:
    return [row[1] for row in table.rows]


def rates(table: Any) -> list[Any]:
    return [row[3] for row in table.rows]


def test_all_rows_of_the_repository_are_right() -> None:
    frame = published.read(ROOT / "results" / "published")
    assert {"libero", "libero_plus", "robocasa24", "gr1_tabletop", "robocasa365", "robotwin2"} <= set(frame["suite"])
    pd.testing.assert_frame_equal(frame, published.read())


def test_means_of_the_repository_are_the_means_of_their_parts() -> None:
    """A slip in copying one number of a line shows against its mean, as far as the sources' own means allow."""
    frame = published.read()
    for suite, parts, slack in (("libero", 4, 0.06), ("simplerenv_widowx", 7, 0.06), ("simplerenv_google", 6, 0.06)):
        lines = frame[(frame["suite"] == suite) & (frame["task"] != "libero_90") & frame["rate"].notna()]
        checked = 0
        for (model, variant, _), rows in lines.groupby(["model", "variant", "protocol"]):
            mean, others = rows[rows["task"] == "mean"], rows[rows["task"] != "mean"]
            if len(mean) == 1 and len(others) == parts:
                checked += 1
                assert abs(mean["rate"].iloc[0] - others["rate"].mean()) <= slack, (suite, model, variant)
        assert checked >= 2


def test_table_of_groot_on_libero_disagrees_with_its_own_counts_and_says_so() -> None:
    frame = published.read()
    readme = frame[(frame["protocol"] == "libero/groot-n16") & (frame["n"] == 200)]
    for version in ("GR00T N1.6", "GR00T N1.7"):
        rows = readme[readme["model"] == version].set_index("task")
        assert rows["successes"].to_dict() == {
            "libero_spatial": 195,
            "libero_object": 197,
            "libero_goal": 195,
            "libero_10": 189,
        }
        assert rows["rate"].to_list() == [97.65, 98.45, 97.5, 94.35]
        assert [DISAGREE in note for note in rows["note"]] == [True, True, False, True]
    assert readme[readme["model"] == "GR00T N1.7"]["note"].str.contains("not independently measured").all()


def test_interval_is_wilsons_where_n_is_known_and_unknown_elsewhere(tmp_path: Path) -> None:
    ranged = {**GOOD, "model": "B", "rate": "", "rate_low": "72", "rate_high": "98", "successes": "", "n": ""}
    only_rate = {**GOOD, "model": "C", "successes": "", "n": ""}
    nearest = {**GOOD, "model": "D", "rate": "33.3", "successes": "", "n": "300"}
    frame = published.read(write(tmp_path, GOOD, ranged, only_rate, nearest))
    z, p, n = 1.959963984540054, 0.9, 50
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert frame["low"][0] == pytest.approx(100 * (middle - half))
    assert frame["high"][0] == pytest.approx(100 * (middle + half))
    assert frame[["low", "high", "counted"]].isna().all(axis=1).to_list() == [False, True, True, False]
    assert frame["counted"][3] == 100
    assert frame["where"].to_list() == [f"libero.csv:{line}" for line in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"suite": ""}, "suite"),
        ({"model": ""}, "model"),
        ({"source": ""}, "source"),
        ({"model": "a\x1b[31mb"}, "model"),
        ({"protocol": "robocasa24/registry"}, "protocol"),
        ({"protocol": "oft-50"}, "protocol"),
        ({"rate": "101"}, "rate"),
        ({"rate": "-1"}, "rate"),
        ({"rate": "nan"}, "rate"),
        ({"rate": "9e1"}, "rate"),
        ({"rate": ""}, "note"),
        ({"rate": "", "note": "no rate: x"}, "rate"),
        ({"note": "no rate: x"}, "note"),
        ({"rate_low": "10"}, "rate_low"),
        ({"rate_low": "10", "rate_high": "20"}, "rate_low"),
        ({"rate": "", "rate_low": "20", "rate_high": "10"}, "rate_low"),
        ({"rate": "90.2"}, "rate"),
        ({"rate": "90.04"}, "rate"),
        ({"note": DISAGREE}, "rate"),
        ({"successes": "", "rate": "90.5"}, "rate"),
        ({"successes": "51"}, "successes"),
        ({"successes": "4.5"}, "successes"),
        ({"n": "0"}, "n"),
        ({"n": ""}, "n"),
        ({"seeds": "0"}, "seeds"),
        ({"tasks": "many"}, "tasks"),
        ({"evidence": "Q"}, "evidence"),
        ({"evidence": "R/R"}, "evidence"),
        ({"evidence": ""}, "evidence"),
    ],
)
def test_wrong_field_is_named_with_file_and_line(tmp_path: Path, change: dict[str, str], field: str) -> None:
    with pytest.raises(RecordError, match=rf"libero\.csv:3: {field}: "):
        published.read(write(tmp_path, {**GOOD, "model": "first"}, {**GOOD, **change}))


def test_counts_that_disagree_are_allowed_where_the_note_says_so(tmp_path: Path) -> None:
    row = {**GOOD, "rate": "91.3", "note": f"{DISAGREE}: printed 91.3 beside 45/50"}
    assert published.read(write(tmp_path, row))["counted"].to_list() == [45]


def test_same_row_twice_is_refused_across_files(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, {**GOOD, "rate": "92", "successes": "46"}, name="other.csv")
    with pytest.raises(RecordError, match=r"other\.csv:2: .*libero\.csv:2"):
        published.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", r"x\.csv:1: the columns"),
        (b"suite,rate\n", r"x\.csv:1: the columns"),
        (",".join(FIELDS).encode() + b"\nlibero,a\n", r"x\.csv:2: 2 fields where 15"),
        (",".join(FIELDS).encode() + b'\n"libero', r"x\.csv: "),
        (b"\xff\xfe", r"x\.csv: "),
    ],
)
def test_file_that_is_no_table_is_refused(tmp_path: Path, text: bytes, words: str) -> None:
    (tmp_path / "x.csv").write_bytes(text)
    with pytest.raises(RecordError, match=words):
        published.read(tmp_path)


def test_folder_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no published rows"):
        published.read(tmp_path / "none")


def test_row_of_a_category_stands_beside_a_run_that_has_it_in_several_suites(tmp_path: Path) -> None:
    row = {**GOOD, "suite": "libero_plus", "protocol": "libero_plus/official", "model": "all", "task": "camera"}
    rows = [row, {**row, "model": "more", "tasks": "3"}]
    outcomes = {"libero_goal/camera/x": "s", "libero_10/camera/y": "f", "libero_10/noise/camera": "s"}
    frame = run_frame(outcomes, protocol="libero_plus/official", suite="libero_plus")
    table, refusals = published.beside(frame, published.read(write(tmp_path, *rows, name="libero_plus.csv")))
    assert names(table) == ["r", "all"] and rates(table)[0] == Rate.of(1, 2)
    assert [refusal.reason for refusal in refusals] == ["it is of 3 tasks (camera), of which the run has 2"]


def test_run_stands_on_top_of_rows_of_its_protocol_and_tasks(tmp_path: Path) -> None:
    rows = [
        GOOD,
        {**GOOD, "model": "no n", "successes": "", "n": ""},
        {**GOOD, "model": "other", "protocol": "libero/groot-n16"},
        {**GOOD, "model": "murky", "protocol": "unknown"},
        {**GOOD, "model": "more", "tasks": "3"},
        {**GOOD, "model": "task", "task": "part/a", "tasks": ""},
        {**GOOD, "model": "part", "task": "part", "tasks": "2"},
        {**GOOD, "model": "elsewhere", "task": "other", "tasks": "10"},
        {**GOOD, "model": "vague", "task": "unknown", "tasks": ""},
        {**GOOD, "model": "words", "rate": "", "successes": "", "n": "", "note": "no rate: only words"},
    ]
    frame = run_frame({"part/a": "ssf", "part/b": "sem"})
    table, refusals = published.beside(frame, published.read(write(tmp_path, *rows)))
    assert names(table) == ["r", "M", "no n", "r", "task", "r", "part"]
    assert rates(table) == [
        Rate.of(3, 4, 1, 1),
        Rate.of(45, 50),
        "90 % (n and interval unknown)",
        Rate.of(2, 3),
        Rate.of(45, 50),
        Rate.of(3, 4, 1, 1),
        Rate.of(45, 50),
    ]
    assert {refusal.name.partition(" ")[0]: refusal.reason for refusal in refusals} == {
        "other": "its protocol is libero/groot-n16, the run's is libero/oft-50",
        "murky": "its protocol is unknown",
        "more": "it is of 3 tasks (mean), of which the run has 2",
        "elsewhere": "it is of 10 tasks (other), of which the run has 0",
        "vague": "its tasks are unknown",
        "words": "it has no rate: only words",
    }


def test_run_that_departs_from_its_protocol_stands_alone(tmp_path: Path) -> None:
    frame = run_frame({"a": "s", "b": "f"}, protocol="libero/oft-50 (actions_per_query=4)")
    table, refusals = published.beside(frame, published.read(write(tmp_path, GOOD)))
    assert names(table) == ["r"]
    assert [refusal.reason for refusal in refusals] == ["the run departs from libero/oft-50: actions_per_query=4"]


def test_task_without_a_measured_episode_is_no_part_of_a_full_set(tmp_path: Path) -> None:
    frame = run_frame({"a": "sf", "b": "em"})
    table, refusals = published.beside(frame, published.read(write(tmp_path, GOOD)))
    assert names(table) == ["r"]
    assert [refusal.reason for refusal in refusals] == ["the run has no measured episode of b"]


def test_every_row_of_the_suite_stands_or_is_refused() -> None:
    everything = published.read()
    for suite in sorted(set(everything["suite"])):
        rows = everything[everything["suite"] == suite]
        for protocol in sorted({*rows["protocol"], f"{suite}/nobody"} - {"unknown"}):
            table, refusals = published.beside(run_frame({"a": "sf"}, protocol, suite), everything)
            standing = sum(row[5] != "measured" for row in table.rows)
            assert standing + len(refusals) == len(rows)


def test_whole_libero_run_stands_beside_published_means() -> None:
    parts = ("libero_spatial", "libero_object", "libero_goal", "libero_10")
    frame = run_frame({f"{part}/{i}": "sf" for part in parts for i in range(10)})
    table, refusals = published.beside(frame, published.read())
    assert {row[0] for row in table.rows} == {*parts, "mean"}
    assert Rate.of(1464, 1500) in rates(table)  # OpenVLA-OFT, spatial: 97.6 % of 3 seeds of 500
    assert any("GR00T N1.6" in refusal.name and "libero/groot-n16" in refusal.reason for refusal in refusals)


def test_average_over_some_parts_stands_only_beside_a_run_that_has_these() -> None:
    """LIBERO-PRO's three averages; two of them are over 200 tasks, but not over the same ones."""
    rows, protocol = published.read(), "libero_pro/file-names"
    suites = ("libero_goal", "libero_spatial", "libero_10", "libero_object")
    perturbed = ("_object", "_swap", "_lan", "_task")
    for kinds, standing in (
        (perturbed, {160}),
        (("", *perturbed), {160, "ori"}),
        ((*perturbed, "_env"), {160, "env"}),
        (("", *perturbed, "_env"), {160, "ori", "env"}),
        (("", "_object", "_swap", "_env"), set()),  # 160 tasks, but others
    ):
        tasks = [f"{suite}{kind}/{i}" for suite in suites for kind in kinds for i in range(10)]
        frame = run_frame({task: "s" if "_lan/" in task else "f" for task in tasks}, protocol, "libero_pro")
        table, _ = published.beside(frame, rows)
        found = {}
        for where, name, _, rate, *_ in table.rows:
            over = "env" if "_env" in where else "ori" if "libero_goal+" in where else 160
            if "+" in where and name == "r":
                found[over] = rate
        assert found == {over: Rate.of(40, 160 if over == 160 else 200) for over in standing}


@pytest.mark.parametrize("suite", ["robosuite", "toy"])
def test_suite_without_published_rows_is_refused_with_those_that_have_some(suite: str) -> None:
    with pytest.raises(UsageError, match=rf"'{suite}'.*libero, libero_plus.*robocasa24"):
        published.beside(run_frame({"a": "s"}, f"{suite}/v1", suite), published.read())


def test_runs_of_two_protocols_or_suites_and_empty_runs_are_refused() -> None:
    rows = published.read()
    one, two = run_frame({"a": "s"}), run_frame({"a": "s"}, "libero/groot-n16", run="q")
    with pytest.raises(UsageError, match=r"libero/oft-50, libero/groot-n16"):
        published.beside(pd.concat([one, two]), rows)
    with pytest.raises(UsageError, match="libero, toy"):
        published.beside(pd.concat([one, run_frame({"a": "s"}, suite="toy", run="q")]), rows)
    hidden = run_frame({"a": "s"}, run="q").assign(protocol_id="another")
    with pytest.raises(UsageError, match="differ in their rules"):
        published.beside(pd.concat([one, hidden]), rows)
    with pytest.raises(UsageError, match="no episode"):
        published.beside(run_frame({}), rows)


def test_several_runs_of_one_protocol_stand_together(tmp_path: Path) -> None:
    whole, half = run_frame({"a": "s", "b": "s"}), run_frame({"a": "s"}, run="q")
    rows = published.read(write(tmp_path, GOOD))
    table, _ = published.beside(pd.concat([whole, run_frame({"a": "f", "b": "f"}, run="q")]), rows)
    assert names(table) == ["r", "q", "M"]
    table, refusals = published.beside(pd.concat([whole, half]), rows)
    assert names(table) == ["r", "q"]
    assert [refusal.reason for refusal in refusals] == ["q: it is of 2 tasks (mean), of which the run has 1"]
