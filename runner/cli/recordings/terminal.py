"""A recorded call on one page of a terminal, or of a file: as wide as there is room."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.cli.lines import printable, shorten
from runner.cli.recordings.lanes import ASCII, UNICODE, draw
from runner.cli.recordings.text import (
    clock,
    compact,
    describe_call,
    describe_drop,
    describe_end,
    describe_interruption,
    describe_latencies,
    describe_losses,
    describe_outcome,
    describe_tools,
    duration,
)
from runner.errors import counted
from runner.observers.timeline import TimeLine
from runner.recording.reader import Recording
from runner.recording.voices import Voices

_LABEL = 8  # columns beside the lanes
_LONGEST_RESULT = 300  # characters of a tool's result that are shown
_STYLES = {
    "caller": "cyan",
    "agent": "green",
    "tool": "magenta",
    "error": "red",
    "notice": "dim",
    "line": "yellow",
    "cut": "yellow",
}

# What is told of a moment: when, in which order at that time, who or what, and words.
_Row = tuple[float, int, str, Text]


def make_console(file: IO[str], width: int | None = None) -> Console:
    """Return what writes to a terminal or to a file, as wide as it is or 80 columns."""
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def render_call(
    console: Console, recording: Recording, line: TimeLine, voices: Voices | None
) -> str:
    """Return one call as the console would have it."""
    with console.capture() as captured:
        _print_head(console, recording, line)
        _print_lanes(console, line, voices)
        _print_rows(console, line)
        _print_sums(console, line)
    return re.sub(" +$", "", captured.get(), flags=re.MULTILINE)  # tables fill up


def _print_rows(console: Console, line: TimeLine) -> None:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for at, _, kind, text in sorted(_rows(line), key=lambda row: row[:2]):
        table.add_row(clock(at), Text(kind, _STYLES[kind]), text)
    console.print(table)
    console.print()


def describe_start(recording: Recording) -> str:
    """Return when a call began, in its own time zone."""
    try:
        return f"{datetime.fromisoformat(recording.header.started):%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return recording.header.started


def _print_head(console: Console, recording: Recording, line: TimeLine) -> None:
    header = recording.header
    head = Text(printable(header.agent.name), "bold")
    for part in (header.service, describe_start(recording), duration(line.seconds)):
        head.append(f" - {printable(part)}", "not bold")
    console.print(head)
    console.print(Text(printable(describe_end(recording, line))))
    console.print()


def _print_lanes(console: Console, line: TimeLine, voices: Voices | None) -> None:
    ink = ASCII if console.options.ascii_only else UNICODE
    lanes = draw(line, voices, max(8, console.width - _LABEL), ink)
    rows = [("caller", lanes.caller, "cyan"), ("agent", lanes.agent, "green")]
    if lanes.events:
        rows.append(("", lanes.events, "yellow"))
    rows += [("", lanes.ticks, "dim"), ("", lanes.legend, "dim")]
    for label, row, style in rows:
        if row or label:
            text = Text(label.ljust(_LABEL), style, overflow="crop", no_wrap=True)
            console.print(text.append(row.rstrip(), style))
    console.print()


def _rows(line: TimeLine) -> Iterator[_Row]:
    waits = {each.turn: each.seconds for each in line.latencies}
    for index, turn in enumerate(line.turns):
        text = Text(printable(turn.text) or "(no words)")
        if turn.interrupted:
            text.append(" --", "yellow")
        if turn.typed:
            text.append(" (typed)", "dim")
        if index in waits:
            text.append(f" (waited {duration(waits[index])})", "dim")
        yield turn.start, 0, turn.speaker, text
    for run in line.tools:
        text = Text(printable(shorten(describe_call(run), _LONGEST_RESULT)))
        is_bad = run.state != "done"
        text.append(f" {describe_outcome(run)}", "red" if is_bad else "dim")
        if run.result is not None:
            result = shorten(compact(run.result), _LONGEST_RESULT)
            text.append(f": {printable(result)}")
        yield run.at, 1, "tool", text
    for cut in line.interruptions:
        yield cut.at, 2, "cut", Text(describe_interruption(cut))
    for drop in line.drops:
        yield drop.at, 3, "line", Text(printable(describe_drop(drop)))
    for remark in line.remarks:
        yield remark.at, 4, remark.kind, Text(printable(remark.text))


def _print_sums(console: Console, line: TimeLine) -> None:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold", ratio=1)
    caller, agent = line.talked("caller"), line.talked("agent")
    talked = f"caller {duration(caller)}, agent {duration(agent)}"
    table.add_row("talked", f"{talked}, {counted(len(line.turns), 'turn')}")
    table.add_row("latency", describe_latencies(line))
    if line.tools:
        table.add_row("tools", describe_tools(line))
    if line.interruptions:
        longest = max(each.seconds for each in line.interruptions)
        number = len(line.interruptions)
        table.add_row("cut off", f"{number}, silent after {duration(longest)} at most")
    for part in describe_losses(line.losses) or ["nothing"]:
        table.add_row("dropped", part)
    if not line.is_heard:
        table.add_row("times", "by the messages: the recording has no audio")
    console.print(table)


def render_list(calls: list[tuple[Recording, TimeLine]]) -> str:
    """Return a line for each call; a reader, or grep, cuts it where he likes."""
    lines = []
    for recording, line in calls:
        parts = (
            describe_start(recording),
            recording.header.agent.name,
            duration(line.seconds),
            counted(len(line.turns), "turn"),
            describe_end(recording, line),
            str(recording.folder),
        )
        lines.append(printable("  ".join(parts)) + "\n")
    return "".join(lines)
