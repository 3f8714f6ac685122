"""Runs scenarios one after another, or in several processes side by side.

Results come in the order in which they were asked for, whoever finishes first.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from runner.scenarios.model import Scenario
from runner.testing.results import ScenarioResult, Status
from runner.testing.wishes import Wishes

# A scenario and which run of it this is.
Job: TypeAlias = tuple[Scenario, int]
Coming: TypeAlias = Generator[ScenarioResult, None, None]

# A process more costs about as much as so many scenarios.
_WORTH_A_PROCESS = 25


def choose_processes(wanted: str, jobs: int, cores: int) -> int:
    """Return how many processes `--jobs` asks for; `auto` weighs what they cost."""
    most = cores if wanted == "auto" else int(wanted)
    if wanted == "auto":
        most = min(most, 1 + jobs // _WORTH_A_PROCESS)
    return max(1, min(most, jobs))


@dataclass(frozen=True, slots=True)
class Crew:
    """So many processes; one means this one."""

    wishes: Wishes
    processes: int = 1

    def run(self, jobs: Sequence[Job]) -> Coming:
        """Yield the result of each job, in their order.

        A process that dies takes the scenario that it ran with it, which becomes an
        error; another process goes on with the rest. Whoever leaves early, closes the
        iterator: what still runs is ended then.
        """
        if self.processes == 1:
            from runner.testing.execution import try_out  # an engine: not to hand out

            for scenario, number in jobs:
                yield try_out(scenario, self.wishes, number)
            return
        yield from self._side_by_side(jobs)

    def _side_by_side(self, jobs: Sequence[Job]) -> Coming:
        from runner.testing.workers import Workers

        results: dict[int, ScenarioResult] = {}
        following = 0
        with Workers(self.wishes, self.processes) as workers:
            for number, came in workers.run(jobs):
                results[number] = (
                    came
                    if isinstance(came, ScenarioResult)
                    else self._lost(jobs[number], came)
                )
                while following in results:
                    yield results.pop(following)
                    following += 1

    def _lost(self, job: Job, how: str) -> ScenarioResult:
        scenario, run = job
        error = f"the process that ran it {how}"
        service = self.wishes.service
        return ScenarioResult(scenario, service, Status.ERROR, error=error, run=run)
