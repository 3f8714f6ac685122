"""Runs the selected scenarios, reports, and stores the failures."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runner.cli.output import escape_controls, save
from runner.cli.scenario_progress import show_progress
from runner.cli.validate import Color
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
from runner.testing.options import SCRIPT
from runner.testing.results import Report, ScenarioResult, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.testing.options import TestOptions
    from runner.testing.scenarios.model import Scenario


@dataclass(frozen=True, slots=True)
class ScenarioSelection:
    """The options that select scenarios."""

    targets: tuple[str, ...]
    keywords: str | None = None
    tags: tuple[str, ...] = ()
    last_failed: bool = False

    def load(self) -> list[Scenario]:
        """Loads the scenarios; raises UsageError, ConfigError, FileUnreadable."""
        return select(
            load_scenarios(self.targets),
            keywords=self.keywords,
            tags=self.tags,
            failed=load_failed() if self.last_failed else None,
        )


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Options of the report."""

    format: str
    color: Color
    output_file: Path | None
    coverage: bool


@dataclass(frozen=True, slots=True)
class TestRun:
    """A test run, which `--watch` repeats."""

    selection: ScenarioSelection
    options: TestOptions
    report_options: ReportOptions
    repeat: int
    jobs: str
    fail_fast: bool
    variables: Mapping[str, str] = field(default_factory=dict)

    def files(self) -> Sequence[Path]:
        """Returns the files to watch: scenario files and their agent files."""
        return find_watched(self.selection.targets)

    def run(self, changed: frozenset[Path] = frozenset()) -> int:
        """Runs once, reports, stores the failures, and returns the exit code.

        After a change only the affected scenarios are run, or all if it affects none.
        """
        began = time.monotonic()
        chosen = self.selection.load()
        chosen = concerned(chosen, changed) or chosen
        scenarios = give_variables(chosen, self.variables)
        results, was_interrupted = self._results(scenarios)
        report = self._report(results)
        self._print(report, len(scenarios) * self.repeat, time.monotonic() - began)
        _store_failures(report)
        return 130 if was_interrupted else report.exit_code

    def _results(
        self, scenarios: Sequence[Scenario]
    ) -> tuple[list[ScenarioResult], bool]:
        """Returns the results, and True if Ctrl-C ended the run early."""
        from runner.testing.pool import ScenarioPool, choose_processes

        jobs = [(each, run) for each in scenarios for run in range(self.repeat)]
        wanted = "1" if self._uses_all_cores and self.jobs == "auto" else self.jobs
        processes = choose_processes(wanted, len(jobs), os.cpu_count() or 1)
        results: list[ScenarioResult] = []
        with show_progress(jobs, is_spoken=self.options.service != SCRIPT) as progress:
            pool = ScenarioPool(self.options, processes)
            try:
                with closing(pool.run(jobs, progress.state)) as finished:
                    for result in finished:
                        results.append(result)
                        progress.end(result)
                        if self.fail_fast and result.has_failed:
                            break
            except KeyboardInterrupt:
                return results, True
        return results, False

    @property
    def _uses_all_cores(self) -> bool:
        """True if local models use every core, so that parallel runs are slower."""
        return self.options.service == "local"

    def _report(self, results: Sequence[ScenarioResult]) -> Report:
        if not self.report_options.coverage:
            return Report(tuple(results), Path.cwd())
        from runner.testing.results import measure

        measured = measure(results, self.options.environment)
        return Report(tuple(results), Path.cwd(), tuple(measured))

    def _print(self, report: Report, wanted: int, elapsed: float) -> None:
        from runner.cli.reports import choose_format, load_scenario_report
        from runner.cli.reports.common import wants_color

        report_options = self.report_options
        format = choose_format(report_options.format, os.environ)
        is_terminal = report_options.output_file is None and sys.stdout.isatty()
        color = wants_color(
            report_options.color.value, os.environ, is_terminal=is_terminal
        )
        text = load_scenario_report(format, color=color)(report)
        if report_options.output_file is not None:
            save(report_options.output_file, text)
        else:
            typer.echo(text, nl=False, color=color or None)
        if format == "github":
            _add_to_job_summary(report)
        typer.echo(_summary(report, wanted, elapsed), err=True)


def list_scenarios(scenarios: Sequence[Scenario]) -> None:
    """Prints a line for each scenario, in the form that the command line accepts."""
    for each in scenarios:
        tags = f"  [{', '.join(each.tags)}]" if each.tags else ""
        line = f"{each.place.path.as_posix()}::{each.id}{tags}"
        typer.echo(escape_controls(line))


def _store_failures(report: Report) -> None:
    try:
        note_failed(report)
        forget_old(report)
    except FileUnreadable as error:  # the results are valid without it
        typer.echo(f"vagent: {error.message}", err=True)


def _summary(report: Report, wanted: int, elapsed: float) -> str:
    counts = [
        f"{report.count(status)} {status.value}"
        for status in Status
        if report.count(status)
    ]
    if len(report.results) < wanted:
        counts.append(f"{wanted - len(report.results)} not run")
    seconds = sum(each.seconds for each in report.results)
    return f"{', '.join(counts)}; {seconds:.0f} s of calls in {elapsed:.1f} s"


def _add_to_job_summary(report: Report) -> None:
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        from runner.cli.reports.github import write_summary

        with suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
            file.write(escape_controls(write_summary(report)))
