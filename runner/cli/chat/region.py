"""The drawn region at the bottom of a terminal, as text to write; no terminal here.

What is printed goes above the region and into the terminal's own scrollback. Only
lines that have changed are written again. The cursor rests in the region's last line,
at the place of typing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.cli.chat.spans import AnsiWriter, Line, width_of

_UP = "\x1b[{}A"
_DOWN = "\x1b[{}B"
_RIGHT = "\x1b[{}C"
_ERASE_LINE_END = "\x1b[K"
_ERASE_ROW_ABOVE = f"\x1b[1A{_ERASE_LINE_END}"
# From the second column: erased from its very first cell on, a screen goes into the
# scrollback of some terminals, tmux among them.
_ERASE_BELOW = "\r\x1b[1C\x1b[J"


@dataclass(frozen=True, slots=True)
class Frame:
    """A region as it should be: its lines, none as wide as the terminal's `width`.

    `cursor` is the column of the last line where the cursor rests, from 0.
    """

    lines: Sequence[Line]
    width: int
    cursor: int = 0


@dataclass(slots=True)
class LiveRegion:
    """Knows what is drawn, so that the next picture is only a difference."""

    paint: AnsiWriter
    _shown: list[str] = field(default_factory=list)
    _widths: list[int] = field(default_factory=list)
    _width: int = 0
    _cursor: int = 0

    def draw(self, picture: Frame) -> str:
        """Return what turns the picture on the screen into this one; maybe nothing."""
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
        """Return what puts lines above the region, which is drawn anew."""
        above = "".join(f"{self.paint.line(line)}\r\n" for line in lines)
        return self.erase(below.width) + above + self._whole(below)

    def erase(self, width: int) -> str:
        """Return what takes the region away; the cursor is then where it began.

        Most terminals break lines again when they become narrower, and so the old
        picture takes more rows than it had lines.
        """
        if not self._shown:
            return ""
        width = max(1, width)
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
