"""Scenarios in one process or several: the same results in the same order."""

from __future__ import annotations

import multiprocessing
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runner.testing import Status, TestOptions
from runner.testing.pool import ScenarioPool, choose_processes
from runner.testing.scenarios.model import LlmRule
from tests.testing.builders import ORDER, agent_says, scenario, write_agent


@pytest.mark.parametrize(
    ("wanted", "jobs", "cores", "processes"),
    [("auto", 1, 8, 1), ("auto", 24, 8, 1), ("auto", 200, 8, 8), ("auto", 60, 2, 2)]
    + [("3", 200, 2, 3), ("16", 4, 2, 4), ("1", 500, 8, 1), ("auto", 0, 4, 1)],
)
def test_processes_are_worth_their_start(
    wanted: str, jobs: int, cores: int, processes: int
) -> None:
    assert choose_processes(wanted, jobs, cores) == processes


def test_two_processes_give_the_results_of_one_in_order(tmp_path: Path) -> None:
    tried = scenario(write_agent(tmp_path), ORDER, agent_says("shipped"))
    jobs = [(replace(tried, name=f"{number}"), 0) for number in range(6)]
    # The first takes longest, and its result is still the first.
    jobs[0] = (scenario(tried.agent, *[ORDER] * 6, agent_says("shipped")), 0)

    alone = list(ScenarioPool(TestOptions()).run(jobs))
    together = list(ScenarioPool(TestOptions(), 2).run(jobs))

    assert alone == together
    assert all(each.status is Status.PASSED for each in together)


DYING = (LlmRule(tool_calls=(("count_letters", {"word": "sun"}),)),)


def with_tool(folder: Path, does: str) -> Path:
    """Writes the agent with a tool that runs this code."""
    agent = write_agent(folder)
    text = (folder / "tools.py").read_text("utf-8")
    (folder / "tools.py").write_text(text.replace("time.sleep(0.05)", does), "utf-8")
    return agent


@pytest.mark.parametrize(
    ("does", "how"),
    [("__import__('os')._exit(7)", "ended with exit code 7")]
    + [("__import__('os').abort()", "was killed by SIGABRT")]
    * (sys.platform != "win32"),
)
def test_a_process_that_dies_is_an_error_of_its_scenario_only(
    tmp_path: Path, does: str, how: str
) -> None:
    agent = with_tool(tmp_path, does)
    dying = scenario(agent, ORDER, agent_says(), llm=DYING)
    fine = scenario(agent, ORDER, agent_says("shipped"))
    jobs = [(dying, 0), (fine, 0), (dying, 1), (fine, 1), (fine, 2)]

    results = list(ScenarioPool(TestOptions(), 2).run(jobs))

    assert [each.status is Status.PASSED for each in results] == [0, 1, 0, 1, 1]
    assert results[0].error == f"the process of the scenario {how}"
    assert [each.run for each in results] == [0, 0, 1, 1, 2]


def test_closing_the_iterator_ends_all_processes(tmp_path: Path) -> None:
    agent = with_tool(tmp_path, "time.sleep(600)")
    fine = scenario(agent, ORDER, agent_says("shipped"))
    hanging = scenario(agent, ORDER, agent_says("shipped"), llm=DYING)

    coming = ScenarioPool(TestOptions(), 2).run([(fine, 0), (hanging, 0), (hanging, 1)])
    with closing(coming):
        assert next(coming).status is Status.PASSED

    assert multiprocessing.active_children() == []
