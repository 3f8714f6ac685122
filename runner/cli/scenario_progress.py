"""Progress of `vagent test` on stderr.

Scenarios on the scripted service take milliseconds: a bar is enough. On other services
a call takes as long as it is spoken, so each scenario has a line with its state.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import typer

from runner.cli.output import escape_controls, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from runner.testing.pool import Job
    from runner.testing.results import ScenarioResult

# Fewer scenarios finish before a progress bar can be read.
_MIN_RUNS_FOR_BAR = 5
_MAX_STATE_CHARACTERS = 60


class RunProgress(Protocol):
    """Shows the progress of the jobs of one run, in their order."""

    def state(self, text: str) -> None:
        """Shows the state of the scenario that runs."""
        ...

    def end(self, result: ScenarioResult) -> None:
        """Shows the result of a scenario."""
        ...


@contextmanager
def show_progress(jobs: Sequence[Job], *, is_spoken: bool) -> Iterator[RunProgress]:
    """Yields the progress; `is_spoken` if calls take as long as they are spoken."""
    is_terminal = sys.stderr.isatty()
    if is_spoken and not is_terminal:
        yield PlainProgress(jobs)
    elif is_terminal and (is_spoken or len(jobs) >= _MIN_RUNS_FOR_BAR):
        with _bars(is_spoken) as bars:
            yield LiveProgress(jobs, bars) if is_spoken else BarProgress(jobs, bars)
    else:
        yield NoProgress()


def _bars(is_spoken: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    described = TextColumn("{task.description}", markup=False)
    columns = (
        (SpinnerColumn(), described, TimeElapsedColumn())
        if is_spoken
        else (described, BarColumn(), MofNCompleteColumn())
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


class NoProgress:
    """Shows nothing."""

    def state(self, text: str) -> None:
        """Does nothing."""

    def end(self, result: ScenarioResult) -> None:
        """Does nothing."""


class BarProgress:
    """A bar that fills with each scenario."""

    def __init__(self, jobs: Sequence[Job], bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("running", total=len(jobs))
        self._failed = 0

    def state(self, text: str) -> None:
        """Does nothing."""

    def end(self, result: ScenarioResult) -> None:
        """Fills the bar, and counts failures."""
        self._failed += result.has_failed
        described = f"running, {self._failed} failed" if self._failed else "running"
        self._bars.update(self._task, advance=1, description=described)


class LiveProgress:
    """A line for the scenario that runs, with its state, and one for each result."""

    def __init__(self, jobs: Sequence[Job], bars: Progress) -> None:
        self._jobs, self._bars = jobs, bars
        self._ended = 0
        self._task: TaskID | None = None
        self._begin()

    def state(self, text: str) -> None:
        """Shows the state behind the name of the scenario."""
        if self._task is None:
            return
        text = printable(text)
        if len(text) > _MAX_STATE_CHARACTERS:
            text = text[: _MAX_STATE_CHARACTERS - 1] + "…"
        name = describe_job(self._jobs, self._ended)
        self._bars.update(self._task, description=f"{name}: {text}")

    def end(self, result: ScenarioResult) -> None:
        """Prints the result, and begins the line of the next scenario."""
        line = describe_end(self._jobs, self._ended, result)
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._ended += 1
        self._begin()

    def _begin(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        if self._ended < len(self._jobs):
            name = describe_job(self._jobs, self._ended)
            self._task = self._bars.add_task(f"{name}: starting", total=None)


class PlainProgress:
    """A line when a scenario begins and one when it ends."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._ended = 0
        self._begin()

    def state(self, text: str) -> None:
        """Does nothing: a log would have a line for each utterance."""

    def end(self, result: ScenarioResult) -> None:
        """Prints the result, and the next scenario."""
        typer.echo(describe_end(self._jobs, self._ended, result), err=True)
        self._ended += 1
        self._begin()

    def _begin(self) -> None:
        if self._ended < len(self._jobs):
            typer.echo(f"{describe_job(self._jobs, self._ended)}: running", err=True)


def describe_job(jobs: Sequence[Job], number: int) -> str:
    """Returns the number and the name of a job: `[1/3] greets`."""
    scenario, run = jobs[number]
    again = f" (run {run + 1})" if run else ""
    return escape_controls(f"[{number + 1}/{len(jobs)}] {scenario.id}{again}")


def describe_end(jobs: Sequence[Job], number: int, result: ScenarioResult) -> str:
    """Returns the line of a scenario that ended."""
    length = f", {result.seconds:.1f} s" if result.seconds else ""
    return f"{describe_job(jobs, number)}: {result.status.value}{length}"
