"""How often repeated scenarios pass, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from runner.testing.results import Report, ScenarioResult, Status
from runner.testing.scenarios.model import Place

_Z = 1.959964  # of the 95 % interval


@dataclass(frozen=True, slots=True)
class Flake:
    """A scenario that was run several times, skipped runs left out."""

    place: Place
    scenario: str
    passed: int
    runs: int

    @property
    def interval(self) -> tuple[float, float]:
        """The share that passes, with 95 % certainty: Wilson's score interval.

        E. B. Wilson, Probable Inference, the Law of Succession, and Statistical
        Inference, 1927. Unlike the textbook's it is of use near 0 and 1.
        """
        share, n = self.passed / self.runs, self.runs
        scale = 1 + _Z**2 / n
        middle = (share + _Z**2 / (2 * n)) / scale
        reach = _Z / scale * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        return max(0.0, middle - reach), min(1.0, middle + reach)


def find_flakes(report: Report) -> Sequence[Flake]:
    """Return what became of each scenario that was run more than once."""
    runs: dict[tuple[Place, str], list[ScenarioResult]] = {}
    for result in report.results:
        if result.status is not Status.SKIPPED:
            key = (result.scenario.place, result.scenario.id)
            runs.setdefault(key, []).append(result)
    return [
        Flake(*key, sum(each.status is Status.PASSED for each in results), len(results))
        for key, results in runs.items()
        if len(results) > 1
    ]
