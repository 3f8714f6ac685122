"""A text by lines, for those who look at how it is laid out."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING

from runner.config.source import LINE_END, line_starts

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 2000  # lines to look back: an agent file has not so many


class Lines:
    """The lines of `text`, numbered from 0, without their ends."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _starts(self) -> list[int]:
        return line_starts(self.text)

    def __getitem__(self, number: int) -> str:
        start = self._starts[number]
        found = LINE_END.search(self.text, start)
        return self.text[start : found.start() if found else len(self.text)]

    def at(self, offset: int) -> int:
        """Return the number of the line that holds a character."""
        return bisect_right(self._starts, offset) - 1

    def start(self, number: int) -> int:
        """Return the offset at which a line begins."""
        return self._starts[number]

    def indent(self, number: int) -> int:
        """Return how many blanks and tabs a line begins with."""
        line = self[number]
        return len(line) - len(line.lstrip(" \t"))

    def above(self, number: int) -> int | None:
        """Return the nearest line above that says something, None at the top."""
        return next(self.speaking_above(number), None)

    def below(self, number: int) -> int | None:
        """Return the nearest line below that says something, None at the end."""
        return next(self._speaking(range(number + 1, len(self._starts))), None)

    def speaking_above(self, number: int) -> Iterator[int]:
        """Yield the lines above that say something, upwards."""
        return self._speaking(range(number - 1, max(-1, number - _MOST), -1))

    def _speaking(self, numbers: range) -> Iterator[int]:
        for number in numbers:
            stripped = self[number].strip()
            if stripped and not stripped.startswith("#"):
                yield number
