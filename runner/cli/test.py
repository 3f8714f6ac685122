"""`vagent test`: selects and runs scenarios, reports, and remembers failures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.options import parse_variables
from runner.cli.output import save
from runner.cli.validate import Color
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.testing.judge import Judge
    from runner.testing.options import TestOptions


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

    from runner.cli.scenario_run import (
        ReportOptions,
        ScenarioSelection,
        TestRun,
        list_scenarios,
    )

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
    if service == "local":
        from runner.cli.missing_models import report_missing_models

        report_missing_models()
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
