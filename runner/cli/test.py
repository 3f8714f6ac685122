"""`vagent test`: try agents out on their scenarios."""

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
from runner.cli.validate import Colour
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
        Colour, typer.Option(help="Color of the text format.")
    ] = Colour.AUTO,
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
            f"there is no format '{format}'", hint=f"one of: {', '.join(FORMATS)}"
        )
    if jobs != "auto" and not (jobs.isascii() and jobs.isdigit() and int(jobs) > 0):
        raise UsageError(f"--jobs '{jobs}' is neither a number of processes nor auto")
    if from_recording is not None:
        _write_scenario(from_recording, write, force=force)
        return
    if write is not None:
        raise UsageError("--write goes with --from-recording")

    choice = ScenarioSelection(
        tuple(targets or ()), keywords, tuple(tag or ()), last_failed
    )
    if list_only:
        list_scenarios(choice.load())
        return
    from runner.config.files import load_environment
    from runner.testing.discovery import RECORDINGS
    from runner.testing.options import TestOptions

    environment = load_environment(Path(), os.environ)
    wishes = TestOptions(
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
    _check_far_end(wishes)
    manners = ReportOptions(format, color, output_file, coverage)
    variables = parse_variables(var or [])
    trial = TestRun(choice, wishes, manners, repeat, jobs, fail_fast, variables)
    if watch:
        from runner.cli.watch import run_and_watch

        run_and_watch(trial.files, trial.run)
        return
    code = trial.run()
    if code:
        raise typer.Exit(code)


def _check_far_end(wishes: TestOptions) -> None:
    """Say what is wrong with the service or the faults once, not of each scenario.

    Raises UsageError, AuthenticationRejected, ConfigError, FileUnreadable.
    """
    from runner.testing.options import SCRIPT

    if wishes.faults:
        from runner.service.faults.parser import load_faults

        load_faults(wishes.faults)
    if wishes.service != SCRIPT:
        from runner.engine.services import choose_service

        choose_service(wishes.service, None, wishes.environment)


def _judge(
    url: str | None, model: str | None, votes: int, environment: Mapping[str, str]
) -> Judge | None:
    if url is None:
        return None
    from runner.testing.discovery import FOLDER
    from runner.testing.judge import KEY, Judge

    return Judge(url, model, environment.get(KEY), votes, FOLDER / "verdicts")


def _write_scenario(folder: Path, path: Path | None, *, force: bool) -> None:
    """Write a recorded call as a scenario file, or to stdout."""
    from runner.cli.output import save
    from runner.recording.reader import read_recording
    from runner.testing.scenarios.from_recording import scenario_from_recording

    if path is not None and path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="--force overwrites it")
    recording = read_recording(folder)
    text = scenario_from_recording(recording, path or Path("recorded.test.yaml"))
    if path is None:
        typer.echo(text, nl=False)
        return
    save(path, text)
    typer.echo(f"wrote {path}; `vagent test {path}` runs it", err=True)


# What `vagent test` does: choose, run with progress, report, remember.


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
