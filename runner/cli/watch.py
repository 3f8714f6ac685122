"""`--watch` of `validate` and `test`: again whenever one of the files changes."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from runner.cli.main import say_error
from runner.engine.hot_reload import AgentFileWatcher, Marks, watch_changes
from runner.errors import ConfigError, FileUnreadable, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

# A change is taken up after two looks that agree: at once, for a person.
_LOOK_SECONDS = 0.25
# What a check returns that a Ctrl-C ended.
_INTERRUPTED = 130
# Clears the screen and what was scrolled off it, as `clear` does.
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


@dataclass(slots=True)
class _Files:
    """The files that may have to be checked, new ones among them, and their own."""

    candidates: Callable[[], Iterable[Path]]
    known: dict[Path, AgentFileWatcher] = field(default_factory=dict)

    def look(self) -> Marks:
        try:
            paths = list(self.candidates())
        except (FileUnreadable, UsageError):  # a folder that is being moved about
            paths = list(self.known)
        self.known = {
            each: self.known.get(each) or AgentFileWatcher(each) for each in paths
        }
        marks = [files.poll() for files in self.known.values()]
        return {path: mark for each in marks for path, mark in each.items()}


def run_and_watch(
    candidates: Callable[[], Iterable[Path]],
    check: Callable[[frozenset[Path]], int],
) -> None:
    """Check now and after every change; ends with the Ctrl-C that interrupts it.

    `candidates` returns the files that matter, new ones among them; `check` is given
    those that changed, at first none.

    What is wrong with the command line itself is raised by the first check; after that
    it is told, and the watch goes on. What is wrong with a file is told at any time.
    """
    files = _Files(candidates)
    before = files.poll()
    _clear()
    try:
        _check(check, frozenset())
    except ConfigError as error:
        say_error(error)
    typer.echo("watching for changes; Ctrl-C ends it", err=True)
    # A check may run a loop of its own, so this one stands still meanwhile.
    with asyncio.Runner() as runner:
        coming = _follow(files, before)

        async def wait() -> frozenset[Path]:
            return await anext(coming)

        while True:
            changed = runner.run(wait())
            _clear()
            names = ", ".join(sorted(map(str, changed)))
            typer.echo(f"{names} changed", err=True)
            try:
                _check(check, changed)
            except (ConfigError, FileUnreadable, UsageError) as error:
                say_error(error)


def _check(check: Callable[[frozenset[Path]], int], changed: frozenset[Path]) -> None:
    if check(changed) == _INTERRUPTED:
        raise KeyboardInterrupt  # it has told what was finished, and ends here


def _follow(files: _Files, before: Marks) -> AsyncIterator[frozenset[Path]]:
    async def look() -> Marks:
        return await asyncio.to_thread(files.look)

    async def pause() -> None:
        await asyncio.sleep(_LOOK_SECONDS)

    return watch_changes(before, look, pause)


def _clear() -> None:
    if sys.stdout.isatty():
        typer.echo(_CLEAR, nl=False)
