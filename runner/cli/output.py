"""Output of commands to stdout and to report files."""

from __future__ import annotations

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
        typer.echo("  ".join(cells).rstrip())


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
