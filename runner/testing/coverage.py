"""What of each agent its scenarios have exercised, and what never."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.errors import VagentError
from runner.scenarios.agents import read_agent
from runner.testing.agents import kinds, load_test_agent
from runner.testing.results import AgentCoverage, ScenarioResult
from runner.tools.registry import load_each

_INTERRUPTIONS = ("greeting", "reply", "tool")
_ENDS = ("agent", "caller", "service")


def measure(
    results: Sequence[ScenarioResult], environment: Mapping[str, str]
) -> list[AgentCoverage]:
    """Return the coverage of each agent file that the results are about."""
    by_agent: dict[str, list[ScenarioResult]] = {}
    for result in results:
        by_agent.setdefault(os.path.realpath(result.scenario.agent), []).append(result)
    return [_measure(each, environment) for each in by_agent.values()]


def _measure(
    results: Sequence[ScenarioResult], environment: Mapping[str, str]
) -> AgentCoverage:
    agent = results[0].scenario.agent
    given = {k: v for each in results for k, v in each.scenario.variables.items()}
    tools, defaults = _known(agent, given, environment)
    variables: dict[str, set[str]] = {name: set() for name in defaults}
    interruptions = dict.fromkeys(_INTERRUPTIONS, 0)
    ends = dict.fromkeys(_ENDS, 0)
    for result in results:
        for call in result.calls:
            tools[call.tool] = tools.get(call.tool, 0) + 1
        for name, value in result.scenario.variables.items():
            if value != defaults.get(name):
                variables.setdefault(name, set()).add(value)
        for what in result.interrupted:
            interruptions[what] += 1
        if result.ended_by is not None:
            ends[result.ended_by] += 1
    counts = {name: len(values) for name, values in variables.items()}
    return AgentCoverage(agent, tools, counts, interruptions, ends)


def _known(
    agent: Path, given: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[dict[str, int], dict[str, str | None]]:
    """Return the agent's tools, and its variables with their defaults.

    There are none of a file that cannot be loaded.
    """
    declared = read_agent(agent).variables or {}
    needed = {k: v for k, v in given.items() if declared.get(k) is False}
    try:
        config = load_test_agent(agent, needed, environment, stand_ins=True)
    except VagentError:
        return {}, {}
    loaded = load_each(config, kinds())
    names = [
        each.definition.name for each in loaded if not isinstance(each, VagentError)
    ]
    defaults = {
        name: value if declared.get(name) else None
        for name, value in config.variables.items()
    }
    return dict.fromkeys(names, 0), defaults
