"""The same scenarios on two agents: what comes out differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from runner.testing.results import ScenarioResult
from runner.testing.runner import TestOptions, run_scenario
from runner.testing.scenarios.model import Scenario

# Less is the machine's, or the length of other words.
_LATENCY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ScenarioChange:
    """One scenario on both agents."""

    name: str
    old: ScenarioResult
    new: ScenarioResult

    @property
    def parts(self) -> Sequence[str]:
        """What differs: result, calls, words, latency."""
        found: list[str] = []
        if self.old.status is not self.new.status:
            found.append("result")
        if _calls(self.old) != _calls(self.new):
            found.append("calls")
        if self.old.said != self.new.said:
            found.append("words")
        waits = [median(each.waits) if each.waits else 0.0 for each in self.both]
        if abs(waits[0] - waits[1]) > _LATENCY_SECONDS:
            found.append("latency")
        return found

    @property
    def both(self) -> tuple[ScenarioResult, ScenarioResult]:
        """Old and new."""
        return self.old, self.new


def compare_behaviour(
    scenarios: Sequence[Scenario], old: Path, new: Path, wishes: TestOptions
) -> list[ScenarioChange]:
    """Run each scenario on both agents; return all, those that are equal included."""
    changes: list[ScenarioChange] = []
    for scenario in scenarios:
        before, after = (
            run_scenario(replace(scenario, agent=agent), wishes) for agent in (old, new)
        )
        changes.append(ScenarioChange(scenario.id, before, after))
    return changes


def _calls(result: ScenarioResult) -> list[tuple[str, object]]:
    return [(each.tool, dict(each.arguments)) for each in result.calls]
