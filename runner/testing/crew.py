"""Runs scenarios one after another, or in several processes side by side.

Results come in the order in which they were asked for, whoever finishes first.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TypeAlias

from runner.scenarios.model import Scenario
from runner.testing.execution import Wishes, try_out
from runner.testing.results import ScenarioResult, Status

# A scenario and which run of it this is.
Job: TypeAlias = tuple[Scenario, int]

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

    def run(self, jobs: Sequence[Job]) -> Iterator[ScenarioResult]:
        """Yield the result of each job, in their order.

        A process that dies takes its scenarios with it: they are results, errors.
        """
        if self.processes == 1:
            for scenario, number in jobs:
                yield try_out(scenario, self.wishes, number)
            return
        # Not forked: a copy of whatever threads the caller has would be half dead.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.processes, context)
        try:
            futures = [
                pool.submit(try_out, scenario, self.wishes, number)
                for scenario, number in jobs
            ]
            for job, future in zip(jobs, futures, strict=True):
                yield self._result(job, future)
        finally:
            pool.shutdown(cancel_futures=True)

    def _result(self, job: Job, future: Future[ScenarioResult]) -> ScenarioResult:
        try:
            return future.result()
        except BrokenProcessPool:
            return ScenarioResult(
                job[0],
                self.wishes.service,
                Status.ERROR,
                error="a process that ran scenarios died; --jobs 1 shows which one",
                run=job[1],
            )
