"""What `show` prints of runs whose suites have parts."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from runs import write_run

from groot_bench.episode import MOST_TASKS, parts_in, parts_of
from groot_bench.record import Run
from groot_bench.summary import summarize, summarize_parts, to_json, to_markdown

WORDS = st.text("ab", min_size=1, max_size=2)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_parts_of_a_task_are_its_ancestors_and_its_inner_words(words: list[str]) -> None:
    name = "/".join(words)
    ancestors = {name[:place] for place, letter in enumerate(name) if letter == "/"}
    assert set(parts_of(name)) == ancestors | set(words[:-1])
    assert name not in parts_of(name) or name in words[:-1]


def test_parts_of_the_same_tasks_are_one() -> None:
    tasks = ["one/camera/x", "one/camera/y", "one/noise/z"]
    assert parts_in(tasks) == {"one/camera": tasks[:2]}


def test_rows_of_parts_pool_the_episodes_of_their_tasks(tmp_path: Path) -> None:
    outcomes = {"one/camera/x": "sf", "one/noise/y": "ss", "two/camera/z": "fe", "two/camera/w": "sm"}
    run = Run.load(write_run(tmp_path / "run", outcomes))
    rows = {row.name: row for row in summarize_parts(run)}
    assert list(rows) == ["one", "camera", "two"]
    assert [(row.successes, row.failures, row.errors, row.missing) for row in rows.values()] == [
        (3, 1, 0, 0),
        (2, 2, 1, 1),
        (1, 1, 1, 1),
    ]
    assert [row["name"] for row in to_json(run)["parts"]] == list(rows)


def test_a_part_that_is_the_whole_run_is_no_row_beside_the_total(tmp_path: Path) -> None:
    run = Run.load(write_run(tmp_path / "run", {"one/x": "s", "one/y": "f"}))
    assert summarize_parts(run) == []
    assert [row.name for row in summarize(run)] == ["one/x", "one/y", "total"]


def test_page_of_very_many_tasks_has_their_parts_and_json_has_them_all(tmp_path: Path) -> None:
    outcomes = {f"{part}/{number}": "s" for part in ("one", "two") for number in range(MOST_TASKS // 2 + 1)}
    run = Run.load(write_run(tmp_path / "run", outcomes))
    page = to_markdown(run)
    assert "| one |" in page and "| one/0 |" not in page
    assert f"{MOST_TASKS + 2} tasks are not listed one by one; --json has them" in page
    assert len(to_json(run)["tasks"]) == MOST_TASKS + 2
