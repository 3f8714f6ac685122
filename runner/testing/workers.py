"""Processes that run scenarios, each behind a pipe: one job out, one result back.

The pool of the standard library gives up all that waits when one process dies, and
cannot end one that hangs; here both cost the one scenario.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Self

from runner.scenarios.model import Scenario
from runner.testing.results import ScenarioResult
from runner.testing.wishes import Wishes

# What an idle process may take to end by itself.
_GOODBYE_SECONDS = 2.0


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    line: Connection
    job: int | None = None  # what it is busy with

    def take(self) -> ScenarioResult | str:
        """Return its result, or in words how it died."""
        try:
            result: ScenarioResult = self.line.recv()
        except (EOFError, OSError):
            self.end()
            return _cause(self.process.exitcode or 0)
        self.job = None
        return result

    def end(self) -> None:
        """Give it a moment to end by itself, and no more."""
        self.process.join(_GOODBYE_SECONDS)
        if self.process.exitcode is None:  # a tool's thread keeps it
            self.process.kill()
            self.process.join()

    @property
    def is_lost(self) -> bool:
        return self.process.exitcode is not None


class Workers:
    """So many processes at most, started when there is work; a context."""

    def __init__(self, wishes: Wishes, most: int) -> None:
        # Not forked: a copy of whatever threads the caller has would be half dead.
        self._context = multiprocessing.get_context("spawn")
        self._wishes = wishes
        self._most = most
        self._all: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._all:
            worker.line.close()  # which ends those that are idle
            if worker.job is not None:
                worker.process.terminate()
        for worker in self._all:
            worker.end()

    def run(
        self, jobs: Sequence[tuple[Scenario, int]]
    ) -> Iterator[tuple[int, ScenarioResult | str]]:
        """Yield each job's number with its result, or how its process died."""
        given = 0
        busy: list[_Worker] = []
        while given < len(jobs) or busy:
            while given < len(jobs) and (worker := self._idle()):
                worker.job = given
                with suppress(OSError):  # it died: `take` finds out how
                    worker.line.send(jobs[given])
                given += 1
            busy = [each for each in self._all if each.job is not None]
            ready = wait([each.line for each in busy])
            for worker in [each for each in busy if each.line in ready]:
                number = worker.job
                came = worker.take()
                if worker.is_lost:
                    self._all.remove(worker)
                assert number is not None  # only those that have a job are busy
                yield number, came
            busy = [each for each in self._all if each.job is not None]

    def _idle(self) -> _Worker | None:
        for worker in self._all:
            if worker.job is None:
                return worker
        if len(self._all) == self._most:
            return None
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(self._wishes, theirs))
        process.start()
        theirs.close()  # so that its end is seen here
        self._all.append(_Worker(process, ours))
        return self._all[-1]


def _work(wishes: Wishes, line: Connection) -> None:
    """Run what comes until the other end hangs up."""
    # A Ctrl-C goes to the whole group; the process that hands out ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from runner.testing.execution import try_out

    with suppress(EOFError, OSError):
        while True:
            scenario, run = line.recv()
            line.send(try_out(scenario, wishes, run))


def _cause(exit_code: int) -> str:
    if exit_code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-exit_code).name}"
    return f"died with exit code {exit_code}"
