"""`vagent devices`: which microphones and speakers there are, and which work."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.output import print_table, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.audio.portaudio.library import ListedDevice
    from runner.audio.portaudio.probe import DeviceProber, ProbeResult

    # What was tried of each device, by index; empty where nothing was.
    Trials = Mapping[int, Sequence[ProbeResult]]

_SHORT = {"input": "in", "output": "out"}
_NOUNS = {"input": "microphone", "output": "speaker"}
_TABLE_WIDTH = 72  # columns; on a narrower terminal the facts stand below each other
_HEADINGS = ("", "name", "host API", "in", "out", "rate", "default", "works")


def devices(
    no_test: Annotated[
        bool,
        typer.Option("--no-test", help="List the devices without opening them."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per line to stdout.")
    ] = False,
) -> None:
    """List microphones and speakers, and test them.

    The test takes some seconds; a device that does not answer is skipped after eight.
    The system can ask for permission to use the microphone.

    Exits with 0; 1 when no microphone or no speaker works; 3 when PortAudio is missing.
    """
    import asyncio

    from runner.audio.portaudio.probe import DeviceProber

    found, trials = asyncio.run(_look(DeviceProber(), with_test=not no_test))
    show(found, trials, as_json=as_json)
    lacking = what_is_lacking(found, trials)
    for side in lacking:
        verb = "is there" if no_test else "works"
        typer.echo(f"vagent: no {_NOUNS[side]} {verb}", err=True)
    if lacking:
        raise typer.Exit(1)


async def _look(
    census: DeviceProber, *, with_test: bool
) -> tuple[list[ListedDevice], dict[int, list[ProbeResult]]]:
    found = await census.list_devices()
    trials: dict[int, list[ProbeResult]] = {device.index: [] for device in found}
    if not with_test:
        return found, {}
    from rich.console import Console

    names = {device.index: printable(device.name) for device in found}
    sides = [(side, device.index) for device in found for side in device.sides]
    if not sides:
        return found, trials
    status = Console(stderr=True).status("trying the devices", spinner="line")
    with status:
        async for trial in census.try_out(sides):
            trials[trial.index].append(trial)
            status.update(f"tried {names[trial.index]}")
    return found, trials


def what_is_lacking(found: Sequence[ListedDevice], trials: Trials) -> list[str]:
    """Return the sides of which no device works; without trials, of which none is."""
    working = {
        side
        for device in found
        for side in device.sides
        if all(t.reason is None for t in trials.get(device.index, ()) if t.side == side)
    }
    return [side for side in _SHORT if side not in working]


def show(found: Sequence[ListedDevice], trials: Trials, *, as_json: bool) -> None:
    """Print the devices: as JSON lines, as a table of this terminal's width, or plain.

    What drivers call their devices is made printable.
    """
    if as_json:
        for device in found:
            fields = _as_object(device, trials.get(device.index))
            typer.echo(json.dumps(fields, ensure_ascii=False))
        return
    if not found:
        typer.echo("PortAudio finds no devices", err=True)
        return
    rows = [_as_cells(device, trials.get(device.index)) for device in found]
    headings = _HEADINGS if trials else _HEADINGS[:-1]
    if sys.stdout.isatty():
        _print_wide(headings, rows)
    else:
        print_table(headings, rows)


def _as_object(
    device: ListedDevice, trials: Sequence[ProbeResult] | None
) -> dict[str, object]:
    tried = trials or ()
    return {
        "type": "vagent.device",
        "index": device.index,
        "name": device.name,
        "host": device.host,
        "inputs": device.inputs,
        "outputs": device.outputs,
        "rate": device.rate,
        "default": list(device.defaults),
        # None: not tried.
        "works": {t.side: t.reason is None for t in tried} if trials else None,
        "reason": {t.side: t.reason for t in tried if t.reason is not None},
    }


def _as_cells(
    device: ListedDevice, trials: Sequence[ProbeResult] | None
) -> tuple[str, ...]:
    cells = (
        str(device.index),
        printable(device.name),
        printable(device.host),
        str(device.inputs or "-"),
        str(device.outputs or "-"),
        str(device.rate),
        ", ".join(_SHORT[side] for side in device.defaults),
    )
    return cells if trials is None else (*cells, _verdict(trials))


def _verdict(trials: Sequence[ProbeResult]) -> str:
    failed = [trial for trial in trials if trial.reason is not None]
    if not trials:
        return "no sides"
    if not failed:
        return "yes"
    reasons = {printable(trial.reason or "") for trial in failed}
    if len(failed) == len(trials) and len(reasons) == 1:
        return f"no: {reasons.pop()}"
    return "; ".join(
        f"{_SHORT[trial.side]}: "
        + ("yes" if trial.reason is None else printable(trial.reason))
        for trial in trials
    )


def _print_wide(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if console.width < _TABLE_WIDTH:
        for row in rows:
            console.print(*_stack(row), sep="\n", markup=False, highlight=False)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        if heading in ("name", "works"):
            table.add_column(heading, overflow="fold")
        else:
            is_number = heading in ("", "in", "out", "rate")
            table.add_column(
                heading, justify="right" if is_number else "left", no_wrap=True
            )
    for row in rows:
        # Text: a name is no markup.
        table.add_row(*[Text(cell, _style(cell, row)) for cell in row])
    console.print(table)


def _stack(row: Sequence[str]) -> list[str]:
    index, name, host, inputs, outputs, rate, default, *works = row
    facts = f"in {inputs}, out {outputs}, {rate} Hz"
    if default:
        facts += f", default {default}"
    return [f"{index} {name} ({host})", f"  {facts}", *(f"  {it}" for it in works)]


def _style(cell: str, row: Sequence[str]) -> str:
    if len(row) == len(_HEADINGS) and cell is row[-1]:
        return "green" if cell == "yes" else "red"
    return ""
