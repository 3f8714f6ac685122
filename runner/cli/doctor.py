"""`vagent doctor`: checks this machine and suggests fixes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.options import InputDevice, OutputDevice, parse_variables
from runner.cli.output import escape_controls, write_any_character

if TYPE_CHECKING:
    from runner.cli.doctor_checks.model import (
        CheckResult,
        DoctorOptions,
        TerminalInfo,
    )
    from runner.cli.doctor_checks.process import Check
    from runner.cli.doctor_checks.report import ReportStyle


def doctor(
    agent: Annotated[
        Path | None,
        typer.Argument(help="Agent file to check, too."),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="assemblyai|local|URL",
            help="Voice-agent service to check. Default: the one that `vagent "
            "run` uses.",
        ),
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Connect to the service to check the key and the clock.",
        ),
    ] = False,
    no_audio: Annotated[
        bool,
        typer.Option(
            "--no-audio",
            help="Skip the checks of audio devices.",
        ),
    ] = False,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    port: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=65_535,
            help="Port that has to be free, such as that of --metrics. Repeatable.",
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Set a variable of the agent file. Repeatable."
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Write one JSON object per check and line to stdout: name, "
            "state (ok, failed, skipped), detail, fix.",
        ),
    ] = False,
) -> None:
    """Check this machine and suggest fixes.

    Covers packages, audio, models, the key, ports and, if given, an agent file with
    its tools, which are imported. Plays two seconds of quiet tones and records them,
    unless --no-audio. Uses the network only with --online.

    Exits with 0 when nothing failed, 1 when a check failed, 2 for wrong usage.
    """
    from runner.cli.doctor_checks.model import DoctorOptions, State

    options = DoctorOptions(
        dict(os.environ),
        Path.cwd(),
        agent,
        service,
        parse_variables(var or []),
        online,
        not no_audio,
        input_device,
        output_device,
        tuple(port or ()),
        _terminal(),
    )
    results = _run(options, as_json=as_json)
    if any(each.state is State.FAILED for each in results):
        raise typer.Exit(1)


def _run(options: DoctorOptions, *, as_json: bool) -> list[CheckResult]:
    """Prints each result as it arrives; returns all."""
    from runner.cli.doctor_checks.model import State
    from runner.cli.doctor_checks.process import CHECKS, LOOP, run_checks
    from runner.cli.doctor_checks.report import summarize

    style = _style(options.terminal)
    results: list[CheckResult] = []

    def announce(check: Check) -> None:
        working = {each.name for each in results if each.state is State.OK}
        has_devices = working >= {"microphone", "speaker"}
        if check.name == LOOP and options.audio and has_devices:
            text = "playing two seconds of quiet tones (--no-audio: none)"
            typer.echo(text, err=True)

    for result in run_checks(CHECKS, options, announce):
        results.append(result)
        _print(result, style, as_json=as_json)
    if not as_json:
        typer.echo(summarize(results), err=True)
    return results


def _print(result: CheckResult, style: ReportStyle, *, as_json: bool) -> None:
    from runner.cli.doctor_checks.report import render

    if as_json:
        typer.echo(escape_controls(json.dumps(result.as_object(), ensure_ascii=False)))
    else:
        typer.echo(render(result, style))
    sys.stdout.flush()  # some checks take seconds


def _terminal() -> TerminalInfo:
    import shutil

    from runner.cli.doctor_checks.model import TerminalInfo

    write_any_character()
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    columns = shutil.get_terminal_size().columns
    return TerminalInfo(sys.stdout.isatty(), columns, encoding)


def _style(terminal: TerminalInfo) -> ReportStyle:
    from runner.cli.doctor_checks.environment import has_color, has_marks
    from runner.cli.doctor_checks.report import ReportStyle

    return ReportStyle(
        terminal.columns,
        has_marks(terminal, os.environ),
        has_color(terminal, os.environ),
    )
