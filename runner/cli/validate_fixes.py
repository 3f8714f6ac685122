"""Applies the fixes of `vagent validate --fix`, or shows them as a diff."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runner.config.diagnostics import printable
from runner.config.files import read_agent_text
from runner.config.lint.discovery import STDIN
from runner.config.lint.fixes import fix_content, write_back
from runner.config.lint.results import UnreadableFile
from runner.config.lint.selection import Selection
from runner.config.source import read_content
from runner.errors import FileUnreadable, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from runner.config.diagnostics import Diagnostic
    from runner.config.files import ParsedFile
    from runner.config.lint.checker import Checker
    from runner.config.lint.discovery import FileDiscovery
    from runner.config.lint.fixes import Choice, FixedFile


class Fixes:
    """Fixes one file after the other, or with `shows` prints the diffs, and counts.

    Standard input is written to standard output. Only findings of selected rules are
    fixed; a fix that causes findings of any rule is refused.
    """

    def __init__(
        self, targets: FileDiscovery, checker: Checker, *, shows: bool, unsafe: bool
    ) -> None:
        self.shows = shows
        self.made = 0
        self._withheld = 0
        self._targets = targets
        self._checker = checker
        self._all_rules = replace(checker, selection=Selection())
        self._unsafe = unsafe

    @property
    def takes_output(self) -> bool:
        """True if files or diffs are written to stdout, so that reports must not be."""
        return self.shows or STDIN in self._targets.paths

    def apply(
        self, readings: Iterable[ParsedFile | UnreadableFile]
    ) -> Iterator[ParsedFile | UnreadableFile]:
        """Yields every file after its fixes, which are written back unless `shows`."""
        for each in readings:
            if isinstance(each, UnreadableFile):
                yield each
                continue
            try:
                yield self._fix(each)
            except FileUnreadable as error:
                yield UnreadableFile(each.path, error.message)

    def summary(self) -> str:
        """Returns the number of fixes that were, or would be, made."""
        what = counted(self.made, "fix", "fixes")
        text = f"{what} {'would be ' if self.shows else ''}made"
        if self._withheld:
            text += f", {self._withheld} more with --unsafe-fixes"
        return text

    def _fix(self, reading: ParsedFile) -> ParsedFile:
        is_input = self._is_input(reading.path)
        path = reading.path
        data = self._targets.input() if is_input else read_content(path)

        def check(new: bytes) -> Sequence[Diagnostic]:
            return self._all_rules.check_one(read_agent_text(new, path)).findings

        def chosen(found: Diagnostic) -> bool:
            return bool(self._checker.selection.apply(path, [found]))

        done = fix_content(
            data, reading.source.path, check, unsafe=self._unsafe, chosen=chosen
        )
        self.made += len(done.mending.changes)
        self._withheld += 0 if self._unsafe else _count_unsafe(done, chosen)
        if self.shows:
            _write(done.difference())
        elif is_input:
            _write(done.after)
        else:
            write_back(path, done)
        if not self.shows:
            _print_changes(done)
        return read_agent_text(done.after, path) if done.is_changed else reading

    def _is_input(self, path: Path) -> bool:
        name = self._targets.input_name
        return STDIN in self._targets.paths and path == name


def _count_unsafe(done: FixedFile, chosen: Choice) -> int:
    return sum(
        each.fix is not None
        and not each.fix.is_safe
        and each.path == done.shown
        and chosen(each)
        for each in done.mending.findings
    )


def _print_changes(done: FixedFile) -> None:
    for each in done.mending.changes:
        _print(f"{done.shown}:{each.line}: {each.done}")
    for each in done.mending.refused:
        what = f"{each.title} [{each.rule}]"
        _print(f"{done.shown}:{each.line}: not fixed: to {what} causes more errors")


def _print(line: str) -> None:
    typer.echo(printable(line), err=True)


def _write(data: bytes) -> None:
    """Writes bytes to stdout unchanged, with the line ends of the file."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
