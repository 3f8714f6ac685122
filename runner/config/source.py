"""The text of a file, with lines, columns and character ranges."""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import FileUnreadable
from runner.safe_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# A larger file is not an agent file (a database dump, a recording) and would only make
# the checker slow.
MAX_BYTES = 1_000_000

# Line ends as editors count them. YAML 1.1 also breaks lines at U+0085, U+2028 and
# U+2029; editors, which use the line numbers, do not.
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
    """Returns the offsets at which the lines of a text begin."""
    return [0, *(found.end() for found in LINE_END.finditer(text))]


@dataclass(frozen=True)
class Source:
    """One file's text; `path` is spelled as the user gave it."""

    path: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        return line_starts(self.text)

    @cached_property
    def _lines(self) -> list[str]:
        # Shared by all findings about a line, which may be many and long.
        return LINE_END.split(self.text)

    def point(self, offset: int) -> tuple[int, int]:
        """Returns line and column (1-based) of a character offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def start(self, number: int) -> int:
        """Returns the offset at which line `number` (from 1) begins."""
        return self._starts[number - 1]

    def line(self, number: int) -> str:
        """Returns line `number` (from 1) without its end."""
        return self._lines[number - 1]


class SourceError(Exception):
    """Raised for a file that is not text; `source` and `span` are the place."""

    def __init__(self, rule: str, message: str, help_: str, found: Source, at: Span):
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.help = help_
        self.source = found
        self.span = at


def read_source(path: Path, display: str | None = None) -> Source:
    """Reads a text file.

    Raises `FileUnreadable` if the file cannot be read (missing, a folder, no
    permission) and `SourceError` if it is too large or not UTF-8 text. A byte order
    mark is removed.
    """
    shown = str(path) if display is None else display
    return decode_source(read_content(path, shown), shown)


def read_content(path: Path, shown: str | None = None) -> bytes:
    """Returns the bytes of a file, at most `MAX_BYTES` + 1.

    Raises `FileUnreadable`.
    """
    shown = shown or str(path)
    refuse_special(path, shown)
    try:
        with open_regular(path) as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise FileUnreadable(f"{shown} does not exist") from None
    except (OSError, ValueError) as error:
        raise FileUnreadable.from_os_error(shown, "read", error) from error


def refuse_special(path: Path, shown: str) -> None:
    """Raises `FileUnreadable` for a folder, pipe, socket or device, without opening it.

    Windows reports "permission denied" for a folder, and a device may act when opened.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # opening reports why
    if not stat.S_ISREG(mode):
        what = _KINDS.get(stat.S_IFMT(mode), "not a regular file")
        suffix = ", not a file" if stat.S_IFMT(mode) in _KINDS else ""
        raise FileUnreadable(f"{shown} is {what}{suffix}")


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def decode_source(data: bytes, shown: str) -> Source:
    """Returns the text of a file; raises `SourceError` like `read_source`."""
    start = Span(0, 0)
    if len(data) > MAX_BYTES:
        raise SourceError(
            "VA109",
            f"the file is larger than {MAX_BYTES // 1_000_000} MB",
            "move data to other files",
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
            f"the file has a control character (U+{ord(found[0]):04X})",
            "remove the character",
            Source(shown, text),
            Span(*found.span()),
        )
    return Source(shown, text)


_MAX_LINES_BACK = 2000  # more than an agent file has


class Lines:
    """The lines of `text` without their ends, numbered from 0."""

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
        """Returns the number of the line that holds a character."""
        return bisect_right(self._starts, offset) - 1

    def start(self, number: int) -> int:
        """Returns the offset at which a line begins."""
        return self._starts[number]

    def indent(self, number: int) -> int:
        """Returns the number of leading blanks and tabs of a line."""
        line = self[number]
        return len(line) - len(line.lstrip(" \t"))

    def above(self, number: int) -> int | None:
        """Returns the nearest line above with content, None at the top."""
        return next(self.content_above(number), None)

    def below(self, number: int) -> int | None:
        """Returns the nearest line below with content, None at the end."""
        return next(self._with_content(range(number + 1, len(self._starts))), None)

    def content_above(self, number: int) -> Iterator[int]:
        """Yields the lines above that are neither empty nor comments, upwards."""
        return self._with_content(
            range(number - 1, max(-1, number - _MAX_LINES_BACK), -1)
        )

    def _with_content(self, numbers: range) -> Iterator[int]:
        for number in numbers:
            stripped = self[number].strip()
            if stripped and not stripped.startswith("#"):
                yield number
