"""Coverage of agents by scenarios."""

from __future__ import annotations

from pathlib import Path

from runner.testing.results import measure
from tests.testing.builders import AGENT, ORDER, agent_says, run, user, write_agent

VARIED = AGENT + "variables: {company: {default: Acme}, hours: {default: nine}}\n"


def test_tools_variables_interruptions_and_ends_are_counted(tmp_path: Path) -> None:
    agent = write_agent(tmp_path, VARIED)
    results = [
        run(agent, ORDER, agent_says("shipped"), variables={"company": "Nadir"}),
        run(agent, ORDER, agent_says("shipped"), variables={"company": "Zenith"}),
        run(agent, user("Stop", interrupts_after=0.2), variables={"hours": "nine"}),
        run(agent, user("Thanks, goodbye"), agent_says("goodbye")),
    ]

    (coverage,) = measure(results, {})

    assert coverage.agent == agent
    assert coverage.tools == {
        "lookup_order": 2,
        "count_letters": 0,
        "spell_slowly": 0,
        "end_call": 1,
    }
    assert coverage.variables == {"company": 2, "hours": 0}
    assert coverage.interruptions == {"greeting": 1, "reply": 0, "tool": 0}
    assert coverage.ends == {"agent": 1, "caller": 3, "service": 0}


def test_a_variable_without_a_default_is_covered_by_any_value(tmp_path: Path) -> None:
    agent = write_agent(tmp_path, AGENT + "variables: {company: {}}\n")
    results = [run(agent, ORDER, variables={"company": "Nadir"})]

    (coverage,) = measure(results, {})

    assert coverage.variables == {"company": 1}
    assert coverage.tools["lookup_order"] == 1


def test_an_agent_that_cannot_be_loaded_has_no_coverage(tmp_path: Path) -> None:
    agent = write_agent(tmp_path, "version: 1\n")

    (coverage,) = measure([run(agent, ORDER)], {})

    assert coverage.tools == {}
