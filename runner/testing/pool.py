"""Runs scenarios one after another, or in parallel in several processes.

Results arrive in the order of the jobs, whichever ends first.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TypeAlias

from runner.isolation import isolated_spawn, restore_environment
from runner.testing.options import TestOptions
from runner.testing.results import ScenarioResult, Status
from runner.testing.scenarios.model import Scenario

# A scenario and the number of its run.
Job: TypeAlias = tuple[Scenario, int]
Results: TypeAlias = Generator[ScenarioResult, None, None]

# The start of a process takes about as long as this many scenarios.
_SCENARIOS_PER_PROCESS = 25


def choose_processes(wanted: str, jobs: int, cores: int) -> int:
    """Returns the number of processes for `--jobs`; `auto` considers their start."""
    most = cores if wanted == "auto" else int(wanted)
    if wanted == "auto":
        most = min(most, 1 + jobs // _SCENARIOS_PER_PROCESS)
    return max(1, min(most, jobs))


@dataclass(frozen=True, slots=True)
class ScenarioPool:
    """A number of processes; 1 is the current process."""

    options: TestOptions
    processes: int = 1

    def run(
        self, jobs: Sequence[Job], notice: Callable[[str], None] | None = None
    ) -> Results:
        """Yields the result of each job, in order.

        In the current process `notice` receives the states of the call that runs.

        If a process dies, the result of its scenario is an error, and the remaining
        scenarios run in another process. Closing the iterator ends all processes.
        """
        if self.processes == 1:
            from runner.testing.runner import run_scenario  # it imports an engine

            for scenario, number in jobs:
                yield run_scenario(scenario, self.options, number, notice)
            return
        yield from self._run_in_processes(jobs)

    def _run_in_processes(self, jobs: Sequence[Job]) -> Results:
        # The executor of the standard library gives up all jobs if one process dies,
        # and cannot end a process that hangs.
        from pebble import ProcessExpired, ProcessPool

        pool = ProcessPool(
            self.processes,
            initializer=_begin_process,
            # Not forked: a copy of a process with threads can deadlock.
            context=multiprocessing.get_context("spawn"),
        )
        # Processes also start later, in the place of one that died.
        isolation = ExitStack()
        isolation.enter_context(isolated_spawn())
        try:
            futures = [pool.schedule(_run, args=(*job, self.options)) for job in jobs]
            for job, future in zip(jobs, futures, strict=True):
                try:
                    yield future.result()
                except ProcessExpired as error:
                    yield self._lost(job, _cause(error.exitcode))
        finally:
            pool.stop()  # type: ignore[no-untyped-call]  # pebble does not type it
            pool.join()
            isolation.close()

    def _lost(self, job: Job, cause: str) -> ScenarioResult:
        scenario, run = job
        error = f"the process of the scenario {cause}"
        service = self.options.service
        return ScenarioResult(scenario, service, Status.ERROR, error=error, run=run)


def _begin_process() -> None:
    restore_environment()
    # Ctrl-C reaches the whole process group; the parent ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(scenario: Scenario, run: int, options: TestOptions) -> ScenarioResult:
    from runner.testing.runner import run_scenario

    return run_scenario(scenario, options, run)


def _cause(exit_code: int) -> str:
    if exit_code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
