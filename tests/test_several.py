"""Several suites in one call of `eval`: what belongs to which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from groot_bench import load_suite
from groot_bench.errors import SuiteNotReady, UnknownName, UsageError
from groot_bench.evaluation import Settings
from groot_bench.several import per_suite


def test_each_suite_takes_its_own_tasks_protocol_and_folder() -> None:
    suites = [load_suite("toy"), load_suite("robosuite")]
    common = Settings(suite="toy", tasks=["Reach", "Lift"], out="runs")
    toy, robosuite = per_suite(common, suites, ["robosuite/v1-shadows"])
    assert (toy.tasks, toy.protocol, str(toy.out)) == (["Reach"], None, "runs/toy")
    assert (robosuite.tasks, robosuite.protocol, str(robosuite.out)) == (
        ["Lift"],
        "robosuite/v1-shadows",
        "runs/robosuite",
    )
    (alone,) = per_suite(common, suites[:1], ["v1"])
    assert (alone.out, alone.protocol) == ("runs", "v1")


def test_tasks_and_protocols_that_belong_to_no_suite_are_refused() -> None:
    suites = [load_suite("toy"), load_suite("robosuite")]
    with pytest.raises(UnknownName, match="task of the suites toy, robosuite"):
        per_suite(Settings(suite="toy", tasks=["Reach", "Lift", "Litf"]), suites)
    with pytest.raises(UnknownName, match="suite of a protocol"):
        per_suite(Settings(suite="toy"), suites, ["libero/oft-50"])
    with pytest.raises(UsageError, match="none of the tasks"):
        per_suite(Settings(suite="toy", tasks=["Reach"]), suites)
    with pytest.raises(UsageError, match="named twice"):
        per_suite(Settings(suite="toy"), [suites[0], suites[0]])
    with pytest.raises(UsageError, match="2 protocols"):
        per_suite(Settings(suite="toy"), suites[:1], ["v1", "v2"])


def test_suite_whose_tasks_come_with_its_set_up_says_so_instead_of_having_none_of_them() -> None:
    absent = replace(load_suite("toy"), name="plus", tasks={}, missing="not set up", install="groot-bench setup plus")
    suites = [absent, load_suite("toy")]
    with pytest.raises(SuiteNotReady, match=r"'plus': not set up; .* run: groot-bench setup plus"):
        per_suite(Settings(suite="toy", tasks=["camera", "Reach"]), suites)
