"""`vagent doctor`: whether this machine is ready for a call, and what mends it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.run_options import InputDevice, OutputDevice
from runner.cli.variables import parse_variables

if TYPE_CHECKING:
    from runner.doctor.findings import Finding
    from runner.doctor.report import Manners
    from runner.doctor.watchdog import Check
    from runner.doctor.wishes import Screen, Wishes


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
    from runner.doctor.findings import State
    from runner.doctor.wishes import Wishes

    wishes = Wishes(
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
        _screen(),
    )
    findings = _examine(wishes, as_json=as_json)
    if any(each.state is State.FAILED for each in findings):
        raise typer.Exit(1)


def _examine(wishes: Wishes, *, as_json: bool) -> list[Finding]:
    """Say each finding as it is found; return all."""
    from runner.doctor.checks import CHECKS, LOOP
    from runner.doctor.findings import State
    from runner.doctor.report import summarise
    from runner.doctor.watchdog import examine

    manners = _manners(wishes.screen)
    findings: list[Finding] = []

    def announce(check: Check) -> None:
        working = {each.name for each in findings if each.state is State.OK}
        if check.name == LOOP and wishes.sound and working >= {"microphone", "speaker"}:
            text = "playing two seconds of quiet tones (--no-audio: none)"
            typer.echo(text, err=True)

    for finding in examine(CHECKS, wishes, announce):
        findings.append(finding)
        _say(finding, manners, as_json=as_json)
    if not as_json:
        typer.echo(summarise(findings), err=True)
    return findings


def _say(finding: Finding, manners: Manners, *, as_json: bool) -> None:
    from runner.doctor.report import render

    if as_json:
        typer.echo(json.dumps(finding.as_object(), ensure_ascii=False))
    else:
        typer.echo(render(finding, manners))
    sys.stdout.flush()  # somebody waits, and some checks take seconds


def _screen() -> Screen:
    import shutil

    from runner.doctor.wishes import Screen

    _write_any_character()
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return Screen(sys.stdout.isatty(), shutil.get_terminal_size().columns, encoding)


def _manners(screen: Screen) -> Manners:
    from runner.doctor.report import Manners
    from runner.doctor.screen import has_colour, has_marks

    return Manners(
        screen.columns,
        has_marks(screen, os.environ),
        has_colour(screen, os.environ),
    )


def _write_any_character() -> None:
    """Let lines quote any character, whatever the encoding of stdout."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # only a text file has it
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
