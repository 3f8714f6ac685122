"""Output of commands to stdout and to report files."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from runner.errors import FileUnreadable
from runner.safe_files import write_file


def write_any_character() -> None:
    """Lets stdout accept any character; unencodable ones are escaped."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # only text files have it
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Writes rows in columns as wide as their widest cell, separated by two spaces."""
    table = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(escape_controls("  ".join(cells).rstrip()))


def save(path: Path, text: str) -> None:
    """Writes a report to a file; raises FileUnreadable if that fails."""
    try:
        write_file(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "written", error) from error


def printable(text: str) -> str:
    """Returns the text with a space for each character that is not printable."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " for each in text)


# Control characters of ISO/IEC 6429 except tab, line break and carriage return; line
# and paragraph separators; marks and overrides of the writing direction.
_UNSAFE = (
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_CONTROLS = re.compile(f"\r(?!\n)|{_UNSAFE}")
_COLORS_OR_CONTROLS = re.compile(f"(\x1b\\[[0-9;]*m)|\r(?!\n)|{_UNSAFE}")
# Control sequences of the views: cursor, erasing, colors. Others, such as those that
# set the title or write to the clipboard, begin with ESC and another character.
_SEQUENCES_OR_UNSAFE = re.compile(f"(\x1b\\[[0-?]*[ -/]*[@-~])|{_UNSAFE}")


def escape_controls(text: str, *, keep_colors: bool = False) -> str:
    """Returns lines with each character that controls a terminal as `\\u001b`.

    The escapes are those of JSON, so that JSON text keeps its value.
    """
    if text.isprintable():
        return text
    return (_COLORS_OR_CONTROLS if keep_colors else _CONTROLS).sub(_escape, text)


def escape_stream(text: str) -> str:
    """Returns text with the control sequences of the views, and no other ones."""
    return text if text.isprintable() else _SEQUENCES_OR_UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    if found.lastindex:
        return found[0]
    return f"\\u{ord(found[0]):04x}"
