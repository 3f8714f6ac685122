"""Renders the chat state as styled lines and terminal output. Pure.

No line uses the last column: after a character there, the cursor position differs
between terminals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from rich.cells import cell_len, chop_cells

from runner.cli.views.chat.input import LineEditor
from runner.cli.views.chat.state import STEPS, ChatState
from runner.cli.views.chat.transcript import (
    AgentMessageEntry,
    Entry,
    NoticeEntry,
    ToolCallEntry,
    UserMessageEntry,
)
from runner.cli.views.wire import Detail, shorten

_PROMPT = "> "
_LABEL = 7  # cells before the text of both sides
_MIN_WIDE_CELLS = 64  # from this width on, the status line has labels
_MAX_RESULT_CHARACTERS = 200  # of a tool result on one line


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The symbols of the view."""

    dot: str = "●"
    tool: str = "▸"
    failed: str = "✗"
    gives: str = "→"
    more: str = "…"
    cut: str = "—"
    full: str = "▮"
    empty: str = "▯"
    steps: str = "·▁▂▃▄▅▆▇█"
    note: str = "·"
    up_down: str = "↑↓"


ASCII = Glyphs("*", ">", "x", "->", "..", "--", "#", ".", ".12345678", "-", "up/down")


@dataclass(frozen=True, slots=True)
class ChatRenderer:
    """Draws entries and the region below them."""

    glyphs: Glyphs = Glyphs()
    detail: Detail = Detail.NORMAL

    def entry(self, entry: Entry, now: float, width: int) -> list[Line]:
        """Returns an entry as lines; an empty list if there is nothing to show."""
        width = max(1, width - 1)
        match entry:
            case UserMessageEntry(text, is_final):
                role = Style.PLAIN if is_final else Style.DIM
                content = [
                    Span(text if is_final else f"{text} {self.glyphs.more}", role)
                ]
                label = Span("You".ljust(_LABEL), Style.CALLER)
                return wrap([label, *content], width, _LABEL) if text else []
            case AgentMessageEntry():
                return self._agent(entry, now, width)
            case ToolCallEntry() if self.detail is not Detail.QUIET:
                return self._tool(entry, now, width)
            case NoticeEntry(text):
                note = f"{self.glyphs.note} {text}"
                return wrap([Span(note, Style.DIM)], width, 2)
            case _:
                return []

    def region(
        self,
        model: ChatState,
        now: float,
        width: int,
        height: int,
        draft: LineEditor | None,
    ) -> Frame:
        """Returns the region below the final entries, at most `height` lines.

        The last line is the input line, unless `draft` is None.
        """
        below = [self.status(model, now, width)]
        if draft is not None:
            below.append(self.typing(draft, width, model))
        above: list[Line] = []
        for entry in model.transcript.open:
            above += self.entry(entry, now, width)
        room = max(0, height - len(below))
        lines = [*(above[-room:] if room else []), *below][-max(1, height) :]
        cursor = 0
        if draft is not None:
            cursor = width_of(lines[-1]) if draft.text else len(_PROMPT)
        return Frame(lines, width, min(cursor, max(0, width - 1)))

    def status(self, model: ChatState, now: float, width: int) -> Line:
        """Returns the status line with the parts that fit."""
        is_wide = width >= _MIN_WIDE_CELLS
        minutes, seconds = divmod(int(model.elapsed(now)), 60)
        state = self._state(model, now, width)
        # In order of importance: the last parts are dropped first.
        parts = {
            "state": state,
            "time": [Span(f"{minutes:02}:{seconds:02}")],
            "you": self._meter("you", model.caller.at(now), Style.LEVEL, is_wide),
            "agent": self._meter("agent", model.playback.at(now), Style.LOUD, is_wide),
            "wait": self._wait(model, is_wide),
            "line": self._line(model, now, is_wide),
        }
        if model.standing.is_muted:
            parts["you"] = [Span("you "), Span("off", Style.BAD)]
        kept = [name for name in parts if parts[name]]
        while len(kept) > 1 and _joined_width(parts, kept) > width - 1:
            kept.pop()
        order = ("state", "you", "agent", "wait", "line", "time")
        line: Line = []
        for name in order:
            if name in kept:
                line += [Span("  "), *parts[name]] if line else parts[name]
        return line

    def typing(self, draft: LineEditor, width: int, model: ChatState) -> Line:
        """Returns the input line, or a hint of the keys while it is empty."""
        if not draft.text:
            return self._hint(width, model)
        room = max(1, width - 4)  # the prompt, the cursor and the last column
        return [Span(_PROMPT), Span(fit_end(draft.text, room, more=self.glyphs.more))]

    def _hint(self, width: int, model: ChatState) -> Line:
        is_muted = model.standing.is_muted
        first = "type to speak" if model.has_microphone else "type your words"
        if model.standing.is_push_to_talk:
            first = "space to talk" if is_muted else "space ends"
        keys = [first, "/end"]
        if model.has_microphone:
            can_unmute = is_muted and not model.standing.is_push_to_talk
            keys.append("ctrl-t unmute" if can_unmute else "ctrl-t mute")
        if model.has_speaker:
            keys.append(f"{self.glyphs.up_down} volume")
        keys.append("/help")
        text = fit(", ".join(keys), max(0, width - 3), more=self.glyphs.more)
        return [Span(_PROMPT), Span(text, Style.DIM)]

    def _agent(self, reply: AgentMessageEntry, now: float, width: int) -> list[Line]:
        heard, unheard = reply.shown(now)
        if not (heard or unheard):
            return []
        line = [Span("Agent".ljust(_LABEL), Style.AGENT), Span(heard)]
        if reply.is_interrupted:
            line.append(Span(f" {self.glyphs.cut}"))
        if unheard:
            line += [Span(" "), Span(unheard, Style.UNHEARD)]
        return wrap(line, width, _LABEL)

    def _tool(self, run: ToolCallEntry, now: float, width: int) -> list[Line]:
        glyphs, is_whole = self.glyphs, self.detail is Detail.VERBOSE
        took = f"{(now if run.ended is None else run.ended) - run.began:.1f} s"
        if run.ended is None:
            took = (
                f"{int(now - run.began)} s"  # tenths would cause ten redraws a second
            )
        result = run.result if is_whole else shorten(run.result, _MAX_RESULT_CHARACTERS)
        if run.ended is None or run.is_cancelled:
            result = "stopped" if run.is_cancelled else glyphs.more
        sign = glyphs.failed if run.is_error else glyphs.tool
        role = Style.BAD if run.is_error else Style.TOOL
        arguments = "" if run.arguments == "{}" else run.arguments
        if is_whole:
            text = f" {arguments} {glyphs.gives} {result}  {took}"
            return wrap([Span(f"{sign} {run.name}", role), Span(text)], width, 2)
        # The name, the time and part of the result are always visible.
        name = fit(f"{sign} {run.name}", max(1, width - len(took) - 12))
        room = max(0, width - width_of([Span(name)]) - len(took) - 2)
        shown = fit(f" {arguments}", max(0, room - min(room // 2, len(result) + 4)))
        if not arguments:
            shown = ""
        rest = room - width_of([Span(shown)])
        shown += fit(f" {glyphs.gives} {result}", max(0, rest))
        line = [Span(name, role), Span(shown), Span(f"  {took}", Style.DIM)]
        return wrap(line, width, 2)[:1]

    def _state(self, model: ChatState, now: float, width: int) -> Line:
        state = model.state(now)
        is_bad = state.startswith(("reconnecting", "over")) or "muted" in state
        text = fit(state, max(1, width - 10), more=self.glyphs.more)
        dot = Span(f"{self.glyphs.dot} ", Style.BAD if is_bad else Style.GOOD)
        return [dot, Span(text, Style.STATE)]

    def _meter(self, name: str, step: int, role: Style, is_wide: bool) -> Line:
        if not is_wide:
            return [Span(f"{name} "), Span(self.glyphs.steps[step], role)]
        bars = STEPS // 2
        full = (step + 1) // 2
        return [
            Span(f"{name} "),
            Span(self.glyphs.full * full, role),
            Span(self.glyphs.empty * (bars - full), Style.DIM),
        ]

    def _wait(self, model: ChatState, is_wide: bool) -> Line:
        waits = model.record.waits
        if not waits:
            return []
        return [Span(f"{'answer ' if is_wide else ''}{waits[-1]:.1f} s")]

    def _line(self, model: ChatState, now: float, is_wide: bool) -> Line:
        quality = model.quality.at(now)
        if not quality:
            return []
        role = {"good": Style.GOOD, "poor": Style.BAD}.get(quality, Style.TOOL)
        return (
            [Span("line "), Span(quality, role)] if is_wide else [Span(quality, role)]
        )


def _joined_width(parts: dict[str, Line], kept: Sequence[str]) -> int:
    return sum(width_of(parts[name]) for name in kept) + 2 * (len(kept) - 1)


class Style(Enum):
    """The role of a text; the value is its SGR attributes (ECMA-48, 8.3.117).

    Only the palette of the terminal is used, so light and dark backgrounds both work.
    """

    PLAIN = ""
    CALLER = "1;36"
    AGENT = "1;35"
    DIM = "2"
    UNHEARD = "2;9"
    TOOL = "33"
    GOOD = "32"
    BAD = "31"
    STATE = "1"
    LEVEL = "36"
    LOUD = "35"
    KEY = "7"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a line in one style."""

    text: str
    role: Style = Style.PLAIN


Line: TypeAlias = list[Span]

_WORDS = re.compile(r"\s*\S+|\s+")


def width_of(spans: Iterable[Span]) -> int:
    """Returns the width of a line in cells."""
    return sum(cell_len(span.text) for span in spans)


def fit(text: str, width: int, *, more: str = "…") -> str:
    """Cuts a text at its end to a width in cells; `more` marks the cut."""
    if cell_len(text) <= width:
        return text
    if width <= cell_len(more):
        return _head(text, width)
    return _head(text, width - cell_len(more)) + more


def fit_end(text: str, width: int, *, more: str = "…") -> str:
    """Cuts a text at its start to a width in cells; `more` marks the cut."""
    if cell_len(text) <= width:
        return text
    room = max(0, width - cell_len(more))
    while text and cell_len(text) > room:
        # A character has at most two cells, so this does not cut too much.
        text = text[max(1, (cell_len(text) - room) // 2) :]
    return fit(more, width, more="") + text


def _head(text: str, width: int) -> str:
    if width <= 0 or not text:
        return ""
    head = chop_cells(text, width)[0] if width > 1 else text[:1]
    return head if cell_len(head) <= width else ""


def wrap(spans: Sequence[Span], width: int, indent: int = 0) -> list[Line]:
    """Break spans into lines at spaces; all lines but the first are indented.

    A word that is longer than a line is broken at the end of the line.
    """
    width = max(width, 1)
    indent = min(indent, width // 2)
    lines: list[Line] = [[]]
    used = 0
    for word, role in _words(spans):
        size = cell_len(word)
        if used + size > width and used > (indent if len(lines) > 1 else 0):
            bare = word.lstrip()
            if cell_len(bare) <= width - indent:
                lines.append(_margin(indent))
                word, size, used = bare, cell_len(bare), indent
        while used + size > width:
            head = _head(word, width - used)
            if head:
                lines[-1].append(Span(head, role))
                word = word[len(head) :]
            elif used <= indent:  # a character of two cells does not fit
                word = word[1:]
            size = cell_len(word)
            if size:
                lines.append(_margin(indent))
                used = indent
        if word:
            lines[-1].append(Span(word, role))
            used += size
    return [_joined(line) for line in lines]


def _words(spans: Sequence[Span]) -> Iterable[tuple[str, Style]]:
    for span in spans:
        for word in _WORDS.findall(span.text):
            yield word, span.role


def _margin(indent: int) -> Line:
    return [Span(" " * indent)] if indent else []


def _joined(line: Line) -> Line:
    joined: Line = []
    for span in line:
        if joined and joined[-1].role is span.role:
            joined[-1] = Span(joined[-1].text + span.text, span.role)
        else:
            joined.append(span)
    return joined


@dataclass(frozen=True, slots=True)
class AnsiWriter:
    """Converts lines to terminal output; without `attributes`, to plain text."""

    colors: bool = True
    attributes: bool = True

    def line(self, line: Iterable[Span]) -> str:
        """Returns a line with its attributes, reset at its end."""
        return "".join(self._span(span) for span in line)

    def _span(self, span: Span) -> str:
        codes = span.role.value
        if codes and not self.colors:
            parts = [code for code in codes.split(";") if not code.startswith("3")]
            codes = ";".join(parts)
        if not codes or not self.attributes or not span.text:
            return span.text
        return f"\x1b[{codes}m{span.text}\x1b[0m"


_UP = "\x1b[{}A"
_DOWN = "\x1b[{}B"
_RIGHT = "\x1b[{}C"
_ERASE_LINE_END = "\x1b[K"
_ERASE_ROW_ABOVE = f"\x1b[1A{_ERASE_LINE_END}"
# From the second column: tmux and others move a screen that is erased from its first
# cell into the scrollback.
_ERASE_BELOW = "\r\x1b[1C\x1b[J"


@dataclass(frozen=True, slots=True)
class Frame:
    """The lines of a region, each narrower than the terminal's `width`.

    `cursor` is the cursor's column in the last line, from 0.
    """

    lines: Sequence[Line]
    width: int
    cursor: int = 0


@dataclass(slots=True)
class LiveRegion:
    """The region at the bottom of the terminal; only changed lines are rewritten.

    Printed lines go above it, into the scrollback. The cursor stays in its last line.
    """

    paint: AnsiWriter
    _shown: list[str] = field(default_factory=list)
    _widths: list[int] = field(default_factory=list)
    _width: int = 0
    _cursor: int = 0

    def draw(self, picture: Frame) -> str:
        """Returns the output that changes the region to `picture`; may be empty."""
        lines, width = picture.lines, picture.width
        if width != self._width or len(lines) != len(self._shown):
            return self.erase(width) + self._whole(picture)
        text = [self.paint.line(line) for line in lines]
        if text == self._shown and picture.cursor == self._cursor:
            return ""
        written, row = "", len(text) - 1
        for index, line in enumerate(text):
            if line != self._shown[index]:
                written += f"{_move(row, index)}\r{line}{_ERASE_LINE_END}"
                row = index
        written += _move(row, len(text) - 1) + _column(picture.cursor)
        self._remember(picture, text)
        return written

    def print(self, lines: Sequence[Line], below: Frame) -> str:
        """Returns the output that prints lines above the region and redraws it."""
        above = "".join(f"{self.paint.line(line)}\r\n" for line in lines)
        return self.erase(below.width) + above + self._whole(below)

    def erase(self, width: int) -> str:
        """Returns the output that erases the region; the cursor moves to its start."""
        if not self._shown:
            return ""
        width = max(1, width)
        # Most terminals rewrap lines when they get narrower, so the old region may have
        # more rows than lines.
        rows = [max(1, -(-size // width)) for size in self._widths[:-1]]
        up = sum(rows) + self._cursor // width
        self._shown, self._widths = [], []
        return _ERASE_BELOW + f"\r{_ERASE_LINE_END}" + _ERASE_ROW_ABOVE * up

    def _whole(self, picture: Frame) -> str:
        text = [self.paint.line(line) for line in picture.lines]
        self._remember(picture, text)
        return "\r\n".join(text) + _column(picture.cursor)

    def _remember(self, picture: Frame, text: list[str]) -> None:
        self._shown, self._width = text, picture.width
        self._cursor = picture.cursor
        self._widths = [width_of(line) for line in picture.lines]


def _column(cursor: int) -> str:
    return "\r" + (_RIGHT.format(cursor) if cursor else "")


def _move(row: int, to: int) -> str:
    if to == row:
        return ""
    return _UP.format(row - to) if to < row else _DOWN.format(to - row)
