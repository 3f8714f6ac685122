"""The report of a recorded call for a terminal or a text file."""

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

_LABEL = 8  # columns before the lanes
_MAX_SHOWN_CHARACTERS = 300  # of a tool's arguments and result
_STYLES = {
    "caller": "cyan",
    "agent": "green",
    "tool": "magenta",
    "error": "red",
    "notice": "dim",
    "line": "yellow",
    "cut": "yellow",
}

# Time, order at equal times, kind (a key of `_STYLES`) and text.
_Row = tuple[float, int, str, Text]


def make_console(file: IO[str], width: int | None = None) -> Console:
    """Returns a console for a file, as wide as its terminal or 80 columns."""
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def render_call(
    console: Console, recording: Recording, line: TimeLine, voices: Voices | None
) -> str:
    """Returns the report of one call, rendered for `console`."""
    with console.capture() as captured:
        _print_head(console, recording, line)
        _print_lanes(console, line, voices)
        _print_rows(console, line)
        _print_totals(console, line)
    return re.sub(" +$", "", captured.get(), flags=re.MULTILINE)  # padding of tables


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
    """Returns the start of a call in its own time zone."""
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
    charset = ASCII if console.options.ascii_only else UNICODE
    lanes = draw(line, voices, max(8, console.width - _LABEL), charset)
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
        text = Text(printable(shorten(describe_call(run), _MAX_SHOWN_CHARACTERS)))
        is_bad = run.state != "done"
        text.append(f" {describe_outcome(run)}", "red" if is_bad else "dim")
        if run.result is not None:
            result = shorten(compact(run.result), _MAX_SHOWN_CHARACTERS)
            text.append(f": {printable(result)}")
        yield run.at, 1, "tool", text
    for cut in line.interruptions:
        yield cut.at, 2, "cut", Text(describe_interruption(cut))
    for drop in line.drops:
        yield drop.at, 3, "line", Text(printable(describe_drop(drop)))
    for remark in line.remarks:
        yield remark.at, 4, remark.kind, Text(printable(remark.text))


def _print_totals(console: Console, line: TimeLine) -> None:
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
        table.add_row("times", "from messages: the recording has no audio")
    console.print(table)


def render_list(calls: list[tuple[Recording, TimeLine]]) -> str:
    """Returns one line for each call, not limited in width."""
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


_MIN_PEAK = 0.01  # -40 dBFS; a column with a lower peak is empty
TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MIN_TICK_COLUMNS = 9  # between two ticks


@dataclass(frozen=True, slots=True)
class Charset:
    """The characters of the waveform; `levels` rise from silence."""

    levels: str
    silent: str
    tool: str
    drop: str
    tick: str


UNICODE = Charset(" ▁▂▃▄▅▆▇█", "╌", "━", "╳", "╵")
ASCII = Charset(" .:-=+*%#", "_", "=", "x", "'")


@dataclass(frozen=True, slots=True)
class AsciiWaveform:
    """The rows of a waveform, of equal width; `events` may be empty."""

    caller: str
    agent: str
    events: str
    ticks: str
    legend: str


def draw(
    line: TimeLine, voices: Voices | None, columns: int, charset: Charset
) -> AsciiWaveform:
    """Returns the waveform of a call with this many columns."""
    seconds = max(line.seconds, 1e-3)

    def lane(speaker: str, voice: Envelope | None) -> str:
        turns = [turn for turn in line.turns if turn.speaker == speaker]
        silent = [(turn.start, turn.end) for turn in turns if turn.silent]
        row = _mark(" " * columns, silent, seconds, charset.silent)
        if voice is None:
            heard = [(turn.start, turn.end) for turn in turns if not turn.silent]
            return _mark(row, heard, seconds, charset.levels[5])
        peaks = (float(peak) for peak in voice.envelope(columns, seconds))
        levels = (_level(peak, charset) for peak in peaks)
        return "".join(
            below if level == charset.levels[0] else level
            for level, below in zip(levels, row, strict=True)
        )

    caller = lane("caller", None if voices is None else voices.caller)
    agent = lane("agent", None if voices is None else voices.agent)
    events = " " * columns
    tools = [(run.at, run.at + (run.seconds or 0)) for run in line.tools]
    events = _mark(events, tools, seconds, charset.tool)
    drops = [(drop.at, drop.until or seconds) for drop in line.drops]
    events = _mark(events, drops, seconds, charset.drop)
    cuts = [(each.at, each.at) for each in line.interruptions]
    events = _mark(events, cuts, seconds, "!")
    legend_texts = (
        (charset.silent, "text without audio"),
        (charset.tool, "tool"),
        (charset.drop, "connection lost"),
        ("!", "interruption"),
    )
    drawn = events + (caller + agent if any(t.silent for t in line.turns) else "")
    legend = "   ".join(
        f"{mark} {text}" for mark, text in legend_texts if mark in drawn
    )
    return AsciiWaveform(
        caller, agent, events.rstrip(), _ticks(seconds, columns, charset), legend
    )


def _level(peak: float, charset: Charset) -> str:
    if peak < _MIN_PEAK:
        return charset.levels[0]
    highest = len(charset.levels) - 1
    return charset.levels[min(highest, 1 + int(peak**0.5 * highest))]


def _mark(
    row: str, spans: Iterable[tuple[float, float]], seconds: float, character: str
) -> str:
    cells = list(row)
    for start, end in spans:
        first = min(len(cells) - 1, int(start / seconds * len(cells)))
        last = min(len(cells) - 1, int(end / seconds * len(cells)))
        cells[first : last + 1] = character * (last + 1 - first)
    return "".join(cells)


def _ticks(seconds: float, columns: int, charset: Charset) -> str:
    room = columns / seconds
    whole_hours = 3600 * (int(_MIN_TICK_COLUMNS / room / 3600) + 1)
    fitting = (each for each in TICK_SECONDS if each * room >= _MIN_TICK_COLUMNS)
    step = next(fitting, whole_hours)
    row = ""
    at = 0.0
    while at <= seconds:
        text = charset.tick + clock(at, 0)
        column = int(at * room)
        if column + len(text) > columns:
            break
        if len(row) <= column:
            row = row.ljust(column) + text
        at += step
    return row
