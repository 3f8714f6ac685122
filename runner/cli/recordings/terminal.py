"""A recorded call on one page of a terminal, or of a file: as wide as there is room."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.cli.output import printable
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
from runner.cli.views.wire import shorten
from runner.errors import counted
from runner.observers.timeline import TimeLine
from runner.recording.audio_tracks import Envelope, Voices
from runner.recording.reader import Recording

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


# Both voices of a call as rows of characters, as wide as the terminal is.


_QUIETEST = 0.01  # the peak under which a column is empty: -40 dBFS
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_TICK_COLUMNS = 9  # how far apart two of them are at least


@dataclass(frozen=True, slots=True)
class Charset:
    """The characters that a terminal can show; `levels` rise from silence."""

    levels: str
    silent: str
    tool: str
    drop: str
    tick: str


UNICODE = Charset(" ▁▂▃▄▅▆▇█", "╌", "━", "╳", "╵")
ASCII = Charset(" .:-=+*%#", "_", "=", "x", "'")


@dataclass(frozen=True, slots=True)
class AsciiWaveform:
    """The rows, each of the same width; `events` is empty where there were none."""

    caller: str
    agent: str
    events: str
    ticks: str
    legend: str


def draw(
    line: TimeLine, voices: Voices | None, columns: int, ink: Charset
) -> AsciiWaveform:
    """Draw a call over so many columns."""
    seconds = max(line.seconds, 1e-3)

    def lane(speaker: str, voice: Envelope | None) -> str:
        turns = [turn for turn in line.turns if turn.speaker == speaker]
        silent = [(turn.start, turn.end) for turn in turns if turn.silent]
        row = _mark(" " * columns, silent, seconds, ink.silent)
        if voice is None:
            heard = [(turn.start, turn.end) for turn in turns if not turn.silent]
            return _mark(row, heard, seconds, ink.levels[5])
        peaks = (float(peak) for peak in voice.envelope(columns, seconds))
        levels = (_level(peak, ink) for peak in peaks)
        return "".join(
            below if level == ink.levels[0] else level
            for level, below in zip(levels, row, strict=True)
        )

    caller = lane("caller", None if voices is None else voices.caller)
    agent = lane("agent", None if voices is None else voices.agent)
    events = " " * columns
    tools = [(run.at, run.at + (run.seconds or 0)) for run in line.tools]
    events = _mark(events, tools, seconds, ink.tool)
    drops = [(drop.at, drop.until or seconds) for drop in line.drops]
    events = _mark(events, drops, seconds, ink.drop)
    cuts = [(each.at, each.at) for each in line.interruptions]
    events = _mark(events, cuts, seconds, "!")
    words = (
        (ink.silent, "text without audio"),
        (ink.tool, "tool"),
        (ink.drop, "connection lost"),
        ("!", "interruption"),
    )
    drawn = events + (caller + agent if any(t.silent for t in line.turns) else "")
    legend = "   ".join(f"{mark} {word}" for mark, word in words if mark in drawn)
    return AsciiWaveform(
        caller, agent, events.rstrip(), _ticks(seconds, columns, ink), legend
    )


def _level(peak: float, ink: Charset) -> str:
    if peak < _QUIETEST:
        return ink.levels[0]
    most = len(ink.levels) - 1
    return ink.levels[min(most, 1 + int(peak**0.5 * most))]


def _mark(
    row: str, spans: Iterable[tuple[float, float]], seconds: float, character: str
) -> str:
    cells = list(row)
    for start, end in spans:
        first = min(len(cells) - 1, int(start / seconds * len(cells)))
        last = min(len(cells) - 1, int(end / seconds * len(cells)))
        cells[first : last + 1] = character * (last + 1 - first)
    return "".join(cells)


def _ticks(seconds: float, columns: int, ink: Charset) -> str:
    room = columns / seconds
    whole_hours = 3600 * (int(_TICK_COLUMNS / room / 3600) + 1)
    fitting = (each for each in _TICKS if each * room >= _TICK_COLUMNS)
    step = next(fitting, whole_hours)
    row = ""
    at = 0.0
    while at <= seconds:
        text = ink.tick + clock(at, 0)
        column = int(at * room)
        if column + len(text) > columns:
            break
        if len(row) <= column:
            row = row.ljust(column) + text
        at += step
    return row
