"""`vagent devices`: lists and tests microphones and speakers."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.output import escape_controls, print_table, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.audio.portaudio.library import ListedDevice
    from runner.audio.portaudio.probe import DeviceProber, ProbeResult

    # The test results of each device, by its index; empty if none was tested.
    ProbeResults = Mapping[int, Sequence[ProbeResult]]

_SHORT_NAMES = {"input": "in", "output": "out"}
_NOUNS = {"input": "microphone", "output": "speaker"}
_TABLE_WIDTH = 72  # columns; a narrower terminal gets a list instead of a table
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

    from runner.audio.portaudio.probe import DeviceProber
    from runner.event_loop import run_async

    found, results = run_async(_probe(DeviceProber(), with_test=not no_test))
    show(found, results, as_json=as_json)
    missing = missing_directions(found, results)
    for direction in missing:
        verb = "is there" if no_test else "works"
        typer.echo(f"vagent: no {_NOUNS[direction]} {verb}", err=True)
    if missing:
        raise typer.Exit(1)


async def _probe(
    prober: DeviceProber, *, with_test: bool
) -> tuple[list[ListedDevice], dict[int, list[ProbeResult]]]:
    found = await prober.list_devices()
    results: dict[int, list[ProbeResult]] = {device.index: [] for device in found}
    if not with_test:
        return found, {}
    from rich.console import Console

    names = {device.index: printable(device.name) for device in found}
    directions = [
        (direction, device.index) for device in found for direction in device.sides
    ]
    if not directions:
        return found, results
    status = Console(stderr=True).status("testing the devices", spinner="line")
    with status:
        async for result in prober.try_out(directions):
            results[result.index].append(result)
            status.update(f"tested {names[result.index]}")
    return found, results


def missing_directions(
    found: Sequence[ListedDevice], results: ProbeResults
) -> list[str]:
    """Returns the directions without a working device; without results, without any."""
    working = {
        direction
        for device in found
        for direction in device.sides
        if all(
            t.reason is None
            for t in results.get(device.index, ())
            if t.side == direction
        )
    }
    return [direction for direction in _SHORT_NAMES if direction not in working]


def show(
    found: Sequence[ListedDevice], results: ProbeResults, *, as_json: bool
) -> None:
    """Prints the devices as JSON lines, as a table for the terminal, or as plain text.

    Control characters in the names of devices are escaped.
    """
    if as_json:
        for device in found:
            fields = _as_object(device, results.get(device.index))
            typer.echo(escape_controls(json.dumps(fields, ensure_ascii=False)))
        return
    if not found:
        typer.echo("PortAudio found no devices", err=True)
        return
    rows = [_as_cells(device, results.get(device.index)) for device in found]
    headings = _HEADINGS if results else _HEADINGS[:-1]
    if sys.stdout.isatty():
        _print_wide(headings, rows)
    else:
        print_table(headings, rows)


def _as_object(
    device: ListedDevice, results: Sequence[ProbeResult] | None
) -> dict[str, object]:
    tested = results or ()
    return {
        "type": "vagent.device",
        "index": device.index,
        "name": device.name,
        "host": device.host,
        "inputs": device.inputs,
        "outputs": device.outputs,
        "rate": device.rate,
        "default": list(device.defaults),
        # None: not tested.
        "works": {t.side: t.reason is None for t in tested} if results else None,
        "reason": {t.side: t.reason for t in tested if t.reason is not None},
    }


def _as_cells(
    device: ListedDevice, results: Sequence[ProbeResult] | None
) -> tuple[str, ...]:
    cells = (
        str(device.index),
        printable(device.name),
        printable(device.host),
        str(device.inputs or "-"),
        str(device.outputs or "-"),
        str(device.rate),
        ", ".join(_SHORT_NAMES[direction] for direction in device.defaults),
    )
    return cells if results is None else (*cells, _outcome(results))


def _outcome(results: Sequence[ProbeResult]) -> str:
    failed = [result for result in results if result.reason is not None]
    if not results:
        return "no channels"
    if not failed:
        return "yes"
    reasons = {printable(result.reason or "") for result in failed}
    if len(failed) == len(results) and len(reasons) == 1:
        return f"no: {reasons.pop()}"
    return "; ".join(
        f"{_SHORT_NAMES[result.side]}: "
        + ("yes" if result.reason is None else printable(result.reason))
        for result in results
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
        # As Text, because a name is not markup.
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
