"""Both voices of a call as rows of characters, as wide as the terminal is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runner.cli.recordings.text import clock
from runner.observers.timeline import TimeLine
from runner.recording.voices import Envelope, Voices

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
