"""`vagent validate --fix`: what is mended, and what is told of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from runner.checking.files import fix_content, read_content, write_back
from runner.config.diagnostics import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runner.checking.files import FixedFile
    from runner.checking.fixing import Choice
    from runner.config.diagnostics import Diagnostic


class Fixes:
    """Mends one file after the other, or shows how (`shows`), and counts.

    `chosen` says which findings may be mended; None means all.
    """

    def __init__(
        self, *, shows: bool, unsafe: bool, chosen: Choice | None = None
    ) -> None:
        self._shows = shows
        self._unsafe = unsafe
        self._chosen = chosen
        self._made = 0
        self._withheld = 0

    @property
    def pending(self) -> bool:
        """Whether there was something to change."""
        return self._made > 0

    def apply(
        self, path: Path, check: Callable[[bytes], Sequence[Diagnostic]]
    ) -> tuple[Diagnostic, ...]:
        """Mend a file; returns the findings that are left.

        Raises `FileUnreadable` when it cannot be read or written, or has changed
        meanwhile.
        """
        done = self._mend(read_content(path), str(path), check)
        if self._shows:
            _write(done.difference())
        else:
            write_back(path, done)
            self._tell(done)
        return done.mending.findings

    def apply_to_text(
        self,
        data: bytes,
        shown: str,
        check: Callable[[bytes], Sequence[Diagnostic]],
    ) -> tuple[Diagnostic, ...]:
        """Mend what came from standard input, and write it to standard output."""
        done = self._mend(data, shown, check)
        _write(done.difference() if self._shows else done.after)
        if not self._shows:
            self._tell(done)
        return done.mending.findings

    def summary(self) -> str:
        """What was done in all, for the last line."""
        what = "1 fix" if self._made == 1 else f"{self._made} fixes"
        text = f"{what} {'would be ' if self._shows else ''}made"
        if self._withheld:
            text += f", {self._withheld} more with --unsafe-fixes"
        return text

    def _mend(
        self,
        data: bytes,
        shown: str,
        check: Callable[[bytes], Sequence[Diagnostic]],
    ) -> FixedFile:
        done = fix_content(data, shown, check, unsafe=self._unsafe, chosen=self._chosen)
        self._made += len(done.mending.changes)
        self._withheld += sum(
            each.fix is not None
            and not each.fix.is_safe
            and not self._unsafe
            and each.path == shown
            and (self._chosen is None or self._chosen(each))
            for each in done.mending.findings
        )
        return done

    def _tell(self, done: FixedFile) -> None:
        for each in done.mending.changes:
            _say(f"{done.shown}:{each.line}: {each.done}")
        for each in done.mending.refused:
            what = f"{each.title} [{each.rule}]"
            _say(f"{done.shown}:{each.line}: left alone: to {what} brings more errors")


def _say(line: str) -> None:
    typer.echo(printable(line), err=True)


def _write(data: bytes) -> None:
    """Write bytes to standard output as they are: a line end is the file's."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
