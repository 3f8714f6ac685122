"""A run of scenarios: selection, progress, report and what is remembered."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runner.cli.output import save
from runner.cli.validate import Colour
from runner.errors import FileUnreadable
from runner.testing.discovery import (
    concerned,
    find_watched,
    forget_old,
    give_variables,
    load_failed,
    load_scenarios,
    note_failed,
    select,
)
from runner.testing.results import Report, ScenarioResult, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.testing.options import TestOptions
    from runner.testing.scenarios.model import Scenario


# Fewer than these are over before a bar can be read.
_WORTH_A_BAR = 5


@dataclass(frozen=True, slots=True)
class ScenarioSelection:
    """Which scenarios were asked for."""

    targets: tuple[str, ...]
    keywords: str | None = None
    tags: tuple[str, ...] = ()
    last_failed: bool = False

    def load(self) -> list[Scenario]:
        """Load them; raises UsageError, ConfigError, FileUnreadable."""
        return select(
            load_scenarios(self.targets),
            keywords=self.keywords,
            tags=self.tags,
            failed=load_failed() if self.last_failed else None,
        )


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How results are shown."""

    format: str
    colour: Colour
    output_file: Path | None
    coverage: bool


@dataclass(frozen=True, slots=True)
class TestRun:
    """One `vagent test`, which `--watch` repeats."""

    choice: ScenarioSelection
    wishes: TestOptions
    manners: ReportOptions
    repeat: int
    jobs: str
    fail_fast: bool
    variables: Mapping[str, str] = field(default_factory=dict)

    def files(self) -> Sequence[Path]:
        """Return what a change of matters; each with the agents that it names."""
        return find_watched(self.choice.targets)

    def run(self, changed: frozenset[Path] = frozenset()) -> int:
        """Run once, report, remember what failed, and return the exit code.

        After a change only what it concerns is run, unless nothing is known of that.
        """
        began = time.monotonic()
        chosen = self.choice.load()
        chosen = concerned(chosen, changed) or chosen
        scenarios = give_variables(chosen, self.variables)
        results, was_interrupted = self._results(scenarios)
        report = self._report(results)
        self._tell(report, len(scenarios) * self.repeat, time.monotonic() - began)
        _remember(report)
        return 130 if was_interrupted else report.exit_code

    def _results(
        self, scenarios: Sequence[Scenario]
    ) -> tuple[list[ScenarioResult], bool]:
        """Return what came, and whether a Ctrl-C ended it early."""
        from runner.testing.pool import ScenarioPool, choose_processes

        jobs = [(each, run) for each in scenarios for run in range(self.repeat)]
        wanted = "1" if self._shares_a_machine and self.jobs == "auto" else self.jobs
        processes = choose_processes(wanted, len(jobs), os.cpu_count() or 1)
        results: list[ScenarioResult] = []
        with _progress(len(jobs)) as advance:
            try:
                with closing(ScenarioPool(self.wishes, processes).run(jobs)) as coming:
                    for result in coming:
                        results.append(result)
                        advance(result)
                        if self.fail_fast and result.has_failed:
                            break
            except KeyboardInterrupt:
                return results, True
        return results, False

    @property
    def _shares_a_machine(self) -> bool:
        """Whether side by side only slows down: models take every core they get."""
        return self.wishes.service == "local"

    def _report(self, results: Sequence[ScenarioResult]) -> Report:
        if not self.manners.coverage:
            return Report(tuple(results), Path.cwd())
        from runner.testing.results import measure

        measured = measure(results, self.wishes.environment)
        return Report(tuple(results), Path.cwd(), tuple(measured))

    def _tell(self, report: Report, wanted: int, took: float) -> None:
        from runner.cli.reports import choose_format, load_scenario_report
        from runner.cli.reports.common import wants_colour

        manners = self.manners
        format = choose_format(manners.format, os.environ)
        is_terminal = manners.output_file is None and sys.stdout.isatty()
        colour = wants_colour(manners.colour.value, os.environ, is_terminal=is_terminal)
        text = load_scenario_report(format, colour=colour)(report)
        if manners.output_file is not None:
            save(manners.output_file, text)
        else:
            typer.echo(text, nl=False, color=colour or None)
        if format == "github":
            _add_to_job_summary(report)
        typer.echo(_summary(report, wanted, took), err=True)


def list_scenarios(scenarios: Sequence[Scenario]) -> None:
    """Write a line for each scenario, as it can be named."""
    for each in scenarios:
        tags = f"  [{', '.join(each.tags)}]" if each.tags else ""
        typer.echo(f"{each.place.path.as_posix()}::{each.id}{tags}")


def _remember(report: Report) -> None:
    try:
        note_failed(report)
        forget_old(report)
    except FileUnreadable as error:  # it takes nothing away from what was found
        typer.echo(f"vagent: {error.message}", err=True)


def _summary(report: Report, wanted: int, took: float) -> str:
    counts = [
        f"{report.count(status)} {status.value}"
        for status in Status
        if report.count(status)
    ]
    if len(report.results) < wanted:
        counts.append(f"{wanted - len(report.results)} not run")
    seconds = sum(each.seconds for each in report.results)
    return f"{', '.join(counts)}; {seconds:.0f} s of calls in {took:.1f} s"


def _add_to_job_summary(report: Report) -> None:
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        from runner.cli.reports.github import write_summary

        with suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
            file.write(write_summary(report))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[ScenarioResult], None]]:
    """Yield what is to be called with each result; a bar on a terminal's stderr."""
    if total < _WORTH_A_BAR or not sys.stderr.isatty():
        yield lambda result: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task, failed = bars.add_task("trying", total=total), 0

        def advance(result: ScenarioResult) -> None:
            nonlocal failed
            failed += result.has_failed
            described = f"trying, {failed} failed" if failed else "trying"
            bars.update(task, advance=1, description=described)

        yield advance
