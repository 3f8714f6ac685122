"""`vagent test`: selects and runs scenarios, reports, and remembers failures."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.options import parse_variables
from runner.cli.output import save
from runner.cli.validate import Color
from runner.errors import FileUnreadable, UsageError
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

    from runner.testing.judge import Judge
    from runner.testing.options import TestOptions
    from runner.testing.scenarios.model import Scenario


FORMATS = ("auto", "text", "json", "junit", "github", "tap")


def test(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH|PATH::SCENARIO]...",
            help="Scenario files, folders, patterns, or agent files (for the "
            "scenarios that test them). Default: the current folder.",
        ),
    ] = None,
    keywords: Annotated[
        str | None,
        typer.Option(
            "-k",
            metavar="EXPRESSION",
            help="Run only scenarios whose name, file or tags match the "
            "expression: words with and, or, not and parentheses.",
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Run only scenarios with this tag. Repeatable."),
    ] = None,
    last_failed: Annotated[
        bool,
        typer.Option(
            "--last-failed",
            help="Run only the scenarios that failed last time, or all if none did.",
        ),
    ] = False,
    list_only: Annotated[
        bool, typer.Option("--list", help="List the scenarios and run none.")
    ] = False,
    service: Annotated[
        str,
        typer.Option(
            metavar="script|local|assemblyai|URL",
            help="Voice-agent service. `script` has no models, audio or key and "
            "gives the same result each time; `local` runs real speech and "
            "language models on this machine.",
        ),
    ] = "script",
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Set a variable of the agents. Repeatable."
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC|FILE.yaml",
            help="Inject a fault, like `vagent service --fault`. Repeatable.",
        ),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            metavar="DB",
            max=0,
            help="Background noise of the caller, in dB relative to full scale.",
        ),
    ] = None,
    packet_loss: Annotated[
        float,
        typer.Option(
            metavar="PERCENT", min=0, max=100, help="Share of the audio that is lost."
        ),
    ] = 0.0,
    repeat: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of runs of each scenario; the report has the confidence "
            "interval.",
        ),
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of faults and noise.")] = 0,
    jobs: Annotated[
        str,
        typer.Option(metavar="N|auto", help="Number of parallel processes."),
    ] = "auto",
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", "-x", help="Stop at the first failure.")
    ] = False,
    live_tools: Annotated[
        bool,
        typer.Option(
            "--live-tools", help="Let HTTP tools without a mock call their URLs."
        ),
    ] = False,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="OpenAI-compatible endpoint that decides `judge:`; its key is "
            "read from VAGENT_JUDGE_KEY. Default: `judge:` is skipped.",
        ),
    ] = None,
    judge_model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the model at the --judge endpoint."),
    ] = None,
    judge_votes: Annotated[
        int, typer.Option(min=1, help="Number of votes of the judge; an odd number.")
    ] = 3,
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage",
            help="Show which tools, variables, interruptions and ends were exercised.",
        ),
    ] = False,
    recordings: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the recordings. Default: .vagent/recordings."
        ),
    ] = None,
    record_passed: Annotated[
        bool,
        typer.Option("--record-passed", help="Record scenarios that pass, too."),
    ] = False,
    from_recording: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Convert a recorded call to a scenario and run nothing.",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File for --from-recording. Default: stdout."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing file.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Run again when a file changes.")
    ] = False,
    format: Annotated[
        str, typer.Option(metavar="|".join(FORMATS), help="Format of the report.")
    ] = "auto",
    output_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the report to this file."),
    ] = None,
    color: Annotated[
        Color, typer.Option(help="Color of the text format.")
    ] = Color.AUTO,
) -> None:
    """Test agents with scenarios.

    A scenario lists what the caller says and what the agent has to say and do. The
    default service, `script`, uses no audio and no models: text replaces speech on the
    same protocol, tools run or are mocked, and time is virtual.

    Exits with 0 when all scenarios passed, 1 when one failed, 2 for wrong usage or
    when there are no scenarios, 3 when one could not run, 130 after Ctrl-C.
    """
    if format not in FORMATS:
        raise UsageError(
            f"unknown format '{format}'", hint=f"use one of: {', '.join(FORMATS)}"
        )
    if jobs != "auto" and not (jobs.isascii() and jobs.isdigit() and int(jobs) > 0):
        raise UsageError(
            f"invalid --jobs '{jobs}'", hint="use a number of processes, or auto"
        )
    if from_recording is not None:
        _write_scenario(from_recording, write, force=force)
        return
    if write is not None:
        raise UsageError("--write needs --from-recording")

    selection = ScenarioSelection(
        tuple(targets or ()), keywords, tuple(tag or ()), last_failed
    )
    if list_only:
        list_scenarios(selection.load())
        return
    from runner.config.files import load_environment
    from runner.testing.discovery import RECORDINGS
    from runner.testing.options import TestOptions

    environment = load_environment(Path(), os.environ)
    options = TestOptions(
        service=service,
        environment=environment,
        faults=tuple(fault or ()),
        seed=seed,
        noise_db=noise,
        packet_loss=packet_loss / 100,
        live_tools=live_tools,
        judge=_judge(judge, judge_model, judge_votes, environment),
        keep=recordings or RECORDINGS,
        keep_passed=record_passed,
    )
    _check_service(options)
    report_options = ReportOptions(format, color, output_file, coverage)
    variables = parse_variables(var or [])
    test_run = TestRun(
        selection, options, report_options, repeat, jobs, fail_fast, variables
    )
    if watch:
        from runner.cli.watch import run_and_watch

        run_and_watch(test_run.files, test_run.run)
        return
    code = test_run.run()
    if code:
        raise typer.Exit(code)


def _check_service(options: TestOptions) -> None:
    """Checks the service and the faults once, before any scenario runs.

    Raises UsageError, AuthenticationRejected, ConfigError, FileUnreadable.
    """
    from runner.testing.options import SCRIPT

    if options.faults:
        from runner.service.faults.parser import load_faults

        load_faults(options.faults)
    if options.service != SCRIPT:
        from runner.engine.services import choose_service

        choose_service(options.service, None, options.environment)


def _judge(
    url: str | None, model: str | None, votes: int, environment: Mapping[str, str]
) -> Judge | None:
    if url is None:
        return None
    from runner.testing.discovery import FOLDER
    from runner.testing.judge import KEY, Judge

    return Judge(url, model, environment.get(KEY), votes, FOLDER / "verdicts")


def _write_scenario(folder: Path, path: Path | None, *, force: bool) -> None:
    """Writes a recorded call as a scenario to a file or stdout."""
    from runner.cli.output import save
    from runner.recording.reader import read_recording
    from runner.testing.scenarios.from_recording import scenario_from_recording

    if path is not None and path.exists() and not force:
        raise UsageError(f"{path} exists already", hint="overwrite it with --force")
    recording = read_recording(folder)
    text = scenario_from_recording(recording, path or Path("recorded.test.yaml"))
    if path is None:
        typer.echo(text, nl=False)
        return
    save(path, text)
    typer.echo(f"wrote {path}; `vagent test {path}` runs it", err=True)


# Fewer scenarios finish before a progress bar can be read.
_MIN_RUNS_FOR_BAR = 5


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
        with _progress(len(jobs)) as advance:
            try:
                with closing(
                    ScenarioPool(self.options, processes).run(jobs)
                ) as finished:
                    for result in finished:
                        results.append(result)
                        advance(result)
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
        from runner.cli.reports.common import wants_colour

        report_options = self.report_options
        format = choose_format(report_options.format, os.environ)
        is_terminal = report_options.output_file is None and sys.stdout.isatty()
        color = wants_colour(
            report_options.color.value, os.environ, is_terminal=is_terminal
        )
        text = load_scenario_report(format, colour=color)(report)
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
        typer.echo(f"{each.place.path.as_posix()}::{each.id}{tags}")


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
            file.write(write_summary(report))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[ScenarioResult], None]]:
    """Yields the callback for results; shows a bar if stderr is a terminal."""
    if total < _MIN_RUNS_FOR_BAR or not sys.stderr.isatty():
        yield lambda result: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task, failed = bars.add_task("running", total=total), 0

        def advance(result: ScenarioResult) -> None:
            nonlocal failed
            failed += result.has_failed
            described = f"running, {failed} failed" if failed else "running"
            bars.update(task, advance=1, description=described)

        yield advance
