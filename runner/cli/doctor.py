"""`vagent doctor`: checks this machine and suggests fixes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.output import write_any_character
from runner.cli.run_options import InputDevice, OutputDevice
from runner.cli.variables import parse_variables

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
        typer.Argument(help="The YAML file of an agent to check."),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="assemblyai|local|URL",
            help="The service of calls. Default: as `vagent run` chooses.",
        ),
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Connect to the service and check the key and the clock.",
        ),
    ] = False,
    no_sound: Annotated[
        bool,
        typer.Option(
            "--no-sound",
            help="Play no tones, and accept a machine without a sound card.",
        ),
    ] = False,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    port: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=65_535,
            help="A port that must be free, such as that of --metrics. Repeatable.",
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Set a variable of the agent file."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object per line: name, state (ok, failed, skipped), "
            "detail, fix.",
        ),
    ] = False,
) -> None:
    """Check this machine and suggest fixes: packages, audio, models, key, ports.

    Plays two seconds of quiet tones and records them, unless --no-sound. Imports the
    tools of the agent. Needs no network unless --online.

    Exits with 0 if every check passes, 1 if one fails, 2 for wrong usage.
    """
    from runner.cli.doctor_checks.model import DoctorOptions, State

    options = DoctorOptions(
        dict(os.environ),
        Path.cwd(),
        agent,
        service,
        parse_variables(var or []),
        online,
        not no_sound,
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
            text = "playing two seconds of quiet tones (--no-sound: none)"
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
        typer.echo(json.dumps(result.as_object(), ensure_ascii=False))
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
