"""`vagent doctor`: whether this machine is ready for a call, and what mends it."""

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
    from runner.doctor.findings import Finding
    from runner.doctor.report import Manners
    from runner.doctor.watchdog import Check
    from runner.doctor.wishes import Screen, Wishes


def doctor(
    agent: Annotated[
        Path | None,
        typer.Argument(help="An agent's YAML file, to be looked at too."),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="assemblyai|local|URL",
            help="Who is to answer calls. Default: as `vagent run` chooses.",
        ),
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Call the service: whether it takes the key, and what time it has.",
        ),
    ] = False,
    no_sound: Annotated[
        bool,
        typer.Option(
            "--no-sound",
            help="Play nothing; and a machine without a sound card is fine.",
        ),
    ] = False,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    port: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=65_535,
            help="A port that should be free, such as that of --metrics. Repeatable.",
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
            help="One JSON object a line on stdout: name, state (ok, failed, skipped), "
            "detail, fix.",
        ),
    ] = False,
) -> None:
    """Look at this machine, and say what mends it: packages, sound, models, key, ports.

    Plays two seconds of quiet tones and listens for them, unless --no-sound. Imports
    the agent's tools. Needs no network unless --online.

    Exits with 0 when nothing is wrong, 1 when something is, 2 for wrong usage.
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
        not no_sound,
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
            text = "playing two seconds of quiet tones (--no-sound: none)"
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

    write_any_character()
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
