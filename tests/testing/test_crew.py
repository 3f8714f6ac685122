"""Scenarios in one process or several: the same results in the same order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.scenarios.model import BrainRule
from runner.testing import Status, Wishes
from runner.testing.crew import Crew, choose_processes
from tests.testing.builders import AGENT, ORDER, agent_says, scenario, write_agent


@pytest.mark.parametrize(
    ("wanted", "jobs", "cores", "processes"),
    [("auto", 1, 8, 1), ("auto", 24, 8, 1), ("auto", 200, 8, 8), ("auto", 60, 2, 2)]
    + [("3", 200, 2, 3), ("16", 4, 2, 4), ("1", 500, 8, 1), ("auto", 0, 4, 1)],
)
def test_processes_are_worth_their_start(
    wanted: str, jobs: int, cores: int, processes: int
) -> None:
    assert choose_processes(wanted, jobs, cores) == processes


def test_two_processes_come_to_what_one_does_in_the_same_order(tmp_path: Path) -> None:
    tried = scenario(write_agent(tmp_path), ORDER, agent_says("shipped"))
    jobs = [(replace(tried, name=f"{number}"), 0) for number in range(6)]
    # The first takes longest, and still comes first.
    jobs[0] = (scenario(tried.agent, *[ORDER] * 6, agent_says("shipped")), 0)

    alone = list(Crew(Wishes()).run(jobs))
    together = list(Crew(Wishes(), 2).run(jobs))

    assert alone == together
    assert all(each.status is Status.PASSED for each in together)


def test_a_process_that_dies_is_an_error_and_no_hang(tmp_path: Path) -> None:
    agent = write_agent(tmp_path, AGENT)
    text = (tmp_path / "tools.py").read_text("utf-8")
    dying = text.replace("time.sleep(0.05)", "__import__('os')._exit(7)")
    (tmp_path / "tools.py").write_text(dying, "utf-8")
    brain = (BrainRule(calls=(("count_letters", {"word": "sun"}),)),)
    tried = scenario(agent, ORDER, agent_says(), brain=brain)

    results = list(Crew(Wishes(), 2).run([(tried, 0), (tried, 1)]))

    assert [each.status for each in results] == [Status.ERROR] * 2
    assert "a process that ran scenarios died" in str(results[0].error)
