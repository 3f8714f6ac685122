"""The text of one file and the places in it; knows lines and columns, no YAML."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# An agent file is read by people; one of this size is something else (a database
# dump, a recording), and would only make the checker slow.
MAX_BYTES = 1_000_000

# What editors count as the end of a line. YAML 1.1 also breaks at U+0085, U+2028 and
# U+2029; editors do not, and the numbers are for them.
LINE_END = re.compile(r"\r\n|\n|\r")

# The complement of YAML's printable set (YAML 1.2.2, production 1).
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


class Span(NamedTuple):
    """Half-open range of character offsets into a source's text."""

    start: int
    end: int


def line_starts(text: str) -> list[int]:
    """Return the offsets at which the lines of a text begin."""
    return [0, *(found.end() for found in LINE_END.finditer(text))]


@dataclass(frozen=True)
class Source:
    """One file's text; `path` is spelled as the person gave it."""

    path: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        return line_starts(self.text)

    @cached_property
    def _lines(self) -> list[str]:
        # Shared by all findings about a line: it may be long, and they many.
        return LINE_END.split(self.text)

    def point(self, offset: int) -> tuple[int, int]:
        """Turn a character offset into line and column, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def start(self, number: int) -> int:
        """Return the offset at which line `number` (from 1) begins."""
        return self._starts[number - 1]

    def line(self, number: int) -> str:
        """Return line `number` (from 1) without its end."""
        return self._lines[number - 1]


class SourceError(Exception):
    """A file that was read but is no text; `source` and `span` say where it shows."""

    def __init__(self, rule: str, message: str, help_: str, found: Source, at: Span):
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.help = help_
        self.source = found
        self.span = at


def read_source(path: Path, display: str | None = None) -> Source:
    """Read a text file.

    Raises `FileUnreadable` when there is nothing to read (no file, a folder, no
    permission) and `SourceError` when what is there is too large or no UTF-8 text.
    A byte order mark is not part of the text.
    """
    shown = str(path) if display is None else display
    return decode_source(read_content(path, shown), shown)


def read_content(path: Path, shown: str | None = None) -> bytes:
    """Return what is in a file, up to one byte more than an agent file may have.

    Raises `FileUnreadable`.
    """
    shown = shown or str(path)
    # is_dir before opening: Windows answers a folder with "permission denied".
    if os.path.isdir(path):
        raise FileUnreadable(f"{shown} is a folder, not a file")
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise FileUnreadable(f"{shown} does not exist") from None
    except (OSError, ValueError) as error:
        raise FileUnreadable.from_os_error(shown, "read", error) from error


def decode_source(data: bytes, shown: str) -> Source:
    """Return the text in the bytes of a file; raises `SourceError` as above."""
    start = Span(0, 0)
    if len(data) > MAX_BYTES:
        raise SourceError(
            "VA109",
            f"the file is larger than {MAX_BYTES // 1_000_000} MB",
            "a page or two of text is enough; keep data elsewhere",
            Source(shown, ""),
            start,
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = Source(shown, data[: error.start].decode("utf-8-sig", "replace"))
        at = len(before.text)
        raise SourceError(
            "VA108",
            f"the file is not UTF-8 text (byte 0x{data[error.start]:02x})",
            "save it as UTF-8",
            before,
            Span(at, at),
        ) from None
    found = _UNPRINTABLE.search(text)
    if found:
        raise SourceError(
            "VA108",
            f"the file holds a control character (U+{ord(found[0]):04X})",
            "it is to be plain text; remove the character",
            Source(shown, text),
            Span(*found.span()),
        )
    return Source(shown, text)


# A text by lines, for those who look at how it is laid out.


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
