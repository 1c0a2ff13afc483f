"""Tables: no number without its n and interval, and no text that does anything in any form of output."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import write_run

from groot_bench.analysis.table import Difference, PValue, Rate, Table, Value
from groot_bench.analysis.table_text import latex_text, markdown_text
from groot_bench.episode import MOST_TASKS
from groot_bench.errors import UsageError
from groot_bench.stats import Interval, wilson

HOSTILE = (
    "a|b",
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](http://e.example/x.png)",
    "`code`",
    "*bold* _it_ __x__",
    "\\| \\",
    "line\nbreak\r\n| new | row |",
    "\x1b[31mred\x1b[0m\x07",
    "\u202eright to left",
    "\\input{/etc/passwd} \\write18{ls} $x^2$ 50% #1 & ~ {",
    "[1mm] * star",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    " =1+1",
    "'=1+1",
    'a,b;"c"',
    "\ud800 lone",
    "&lt; &#124;",
)


def table_of(
    *rows: tuple[Value, ...], head: tuple[str, ...] = ("task", "success"), notes: tuple[str, ...] = ()
) -> Table:
    return Table("title", head, rows, notes)


def cells(markdown: str) -> list[list[str]]:
    """The rows of a GitHub table: bars that are not escaped end a cell."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]] for line in lines]


def csv_rows(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.to_csv(), newline="")))


@pytest.mark.parametrize("value", [0.5, True, Interval(0.1, 0.2), ("a",)])
def test_number_without_n_and_interval_is_no_cell(value: object) -> None:
    with pytest.raises(TypeError, match="has no n and interval"):
        table_of(("a", value))  # type: ignore[arg-type]


def test_row_of_another_length_than_the_head_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 1 values under 2 names"):
        table_of(("a",))


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 3), st.integers(0, 3))
def test_every_form_of_a_rate_has_its_n_and_interval(successes: int, failures: int, errors: int, missing: int) -> None:
    n = successes + failures
    table = table_of(("a", Rate.of(successes, n, errors, missing)))
    texts = (cells(table.to_markdown())[2][1], table.to_latex())
    (row,) = csv_rows(table)
    assert table.to_json()["rows"][0][1] == {
        name: json.loads(row[f"success.{name}"] or "null")
        for name in ("successes", "n", "rate", "low", "high", "errors", "missing")
    }
    assert all(f"{successes}/{n}" in text for text in texts)
    if n:
        low, high = wilson(successes, n)
        assert (float(row["success.low"]), float(row["success.high"])) == (low, high)
        assert all(f"({100 * low:.1f} to {100 * high:.1f})" in text for text in texts)
    else:
        assert row["success.rate"] == "" and all("unknown" in text for text in texts)
    if errors:
        assert all(f"{successes}/{n + errors}" in text for text in texts), "the other denominator"
    assert all((f"{missing} missing" in text) == bool(missing) for text in texts)


def test_impossible_counts_are_no_rate() -> None:
    for counts in ((2, 1), (-1, 3), (0, 0, -1), (0, 0, 0, -1)):
        with pytest.raises(ValueError, match="no rate"):
            Rate.of(*counts)


def test_difference_and_p_value_carry_their_n() -> None:
    table = table_of(
        ("a", Difference(-0.125, Interval(-0.2, 0.01), 40, 0.04, "b"), PValue(0.0004, 40)), head=("t", "d", "p")
    )
    assert cells(table.to_markdown())[2][1:] == [
        "-12.5 points b (-20.0 to +1.0; n = 40, p = 0.040)",
        "<0.001 (n = 40)",
    ]
    assert csv_rows(table) == [
        {
            "t": "a",
            "d.difference": "-0.125",
            "d.low": "-0.2",
            "d.high": "0.01",
            "d.n": "40",
            "d.p": "0.04",
            "d.mark": "b",
        }
        | {"p.p": "0.0004", "p.n": "40"}
    ]
    unknown = table_of(("a", Difference(None, None, 0)))
    assert cells(unknown.to_markdown())[2][1] == "unknown (n = 0)"
    assert cells(table_of(("a", None)).to_markdown())[2][1] == "unknown"


def test_text_beside_numbers_keeps_a_column_of_its_own() -> None:
    table = table_of(("a", Rate.of(1, 2)), ("b", "90 % (n and interval unknown)"), ("c", None))
    rows = csv_rows(table)
    assert [row["success"] for row in rows] == ["", "90 % (n and interval unknown)", ""]
    assert [row["success.n"] for row in rows] == ["2", "", ""]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_the_shape_of_no_output(text: str) -> None:
    plain = Table("t", ("a", "b"), (("x", "y"), ("z", 1)), ("n",))
    hostile = Table(text, (text, "b"), ((text, text), ("z", 1)), (text,))
    markdown, latex, data = hostile.to_markdown(), hostile.to_latex(), hostile.to_csv()
    for made, model in ((markdown, plain.to_markdown()), (latex, plain.to_latex())):
        assert made.count("\n") == model.count("\n")
        assert all(character.isprintable() or character == "\n" for character in made)
    assert [len(row) for row in cells(markdown)] == [2, 2, 2, 2]
    rows = list(csv.reader(io.StringIO(data, newline="")))
    assert [len(row) for row in rows] == [2, 2, 2]
    assert all(character.isprintable() or character in "\r\n" for character in data)
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
    assert json.loads(json.dumps(hostile.to_json()))["rows"][0] == [text, text], "programs get the text itself"
    for made in (markdown, latex, data):
        made.encode("utf-8")


@given(st.text())
def test_markdown_text_has_no_live_character(text: str) -> None:
    made = markdown_text(text)
    live = re.sub(r"\\[\\`*\[\]|<>&~$_]", " ", made)  # without what is escaped
    assert not re.search(r"[`*\[\]|>&~$]|<[A-Za-z/!?]|\\(?=[`*\[\]|<>&~$])|\n", live)


@given(st.text())
def test_latex_text_has_only_commands_of_ours(text: str) -> None:
    ours = r"\\text(backslash|asciicircum|asciitilde|less|greater|bar|quotedbl|quotesingle|asciigrave)\{\}|\\[{}$&#%_]"
    left = re.sub(ours, " ", latex_text(text)).replace("{[}", "").replace("{*}", "")
    assert not re.search(r'[\\{}$&#%_^~<>|"\'`\[*\n]', left)


def test_equal_tables_are_equal_bytes() -> None:
    one, two = (table_of(("a", Rate.of(1, 3)), notes=("x",)) for _ in range(2))
    for form in ("to_markdown", "to_latex", "to_csv", "to_json"):
        assert getattr(one, form)() == getattr(two, form)()


pd = pytest.importorskip("pandas")


def test_tables_of_frames_count_what_they_show(tmp_path: Path) -> None:
    from groot_bench.analysis import tables
    from groot_bench.analysis.frame import load

    one = write_run(tmp_path / "one", {"a": "sfm", "b|c": "e"})
    two = write_run(tmp_path / "two", {"a": "ss"}, policy="zero")
    frame = load(one, two)
    assert tables.task_table(frame).rows == (
        ("a", Rate.of(1, 2, 0, 1), Rate.of(2, 2)),
        ("b|c", Rate.of(0, 0, 1), None),
        ("total", Rate.of(1, 2, 1, 1), Rate.of(2, 2)),
    )
    assert tables.overview_table(frame).rows == (
        ("one", "random", 2, Rate.of(1, 2, 1, 1)),
        ("two", "zero", 1, Rate.of(2, 2)),
    )
    part = frame[frame["run"] == "two"]
    assert tables.task_table(part).head == ("task", "two"), "what is not in the frame is not in the table"


def test_tables_have_rows_of_parts_and_of_very_many_tasks_only_these(tmp_path: Path) -> None:
    from groot_bench.analysis import tables
    from groot_bench.analysis.frame import load

    outcomes = {"one/x": "sf", "one/y": "ss", "two/x": "ff", "two/y": "e"}
    frame = load(write_run(tmp_path / "a", outcomes), write_run(tmp_path / "b", {"one/x": "s"}, policy="zero"))
    assert tables.task_table(frame).rows[4:] == (
        ("one", Rate.of(3, 4), Rate.of(1, 1)),
        ("two", Rate.of(0, 2, 1), None),
        ("total", Rate.of(3, 6, 1), Rate.of(1, 1)),
    )
    many = {f"{part}/{number}": "s" for part in ("one", "two") for number in range(MOST_TASKS // 2 + 1)}
    table = tables.task_table(load(write_run(tmp_path / "many", many)))
    assert [row[0] for row in table.rows] == ["one", "two", "total"]
    assert f"{MOST_TASKS + 2} tasks are not listed one by one." in table.notes


def test_two_protocols_and_no_episode_are_no_table(tmp_path: Path) -> None:
    from groot_bench.analysis import tables
    from groot_bench.analysis.frame import load

    one = write_run(tmp_path / "one", {"a": "sf"})
    two = write_run(tmp_path / "two", {"a": "ss"}, changed={"actions_per_query": 4})
    frame = load(one, two)
    for make in (tables.task_table, tables.overview_table):
        with pytest.raises(UsageError, match=r"two protocols never share a column or a figure.*actions_per_query=4"):
            make(frame)
        with pytest.raises(UsageError, match="no episodes"):
            make(frame.iloc[:0])
