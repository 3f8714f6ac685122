"""`--watch` of `validate` and `test`: repeats a check when a file changes."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from runner.cli.main import print_error
from runner.engine.hot_reload import AgentFileWatcher, Marks, watch_changes
from runner.errors import ConfigError, FileUnreadable, UsageError
from runner.event_loop import LoopRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

# A change counts once two polls see the same files; short enough to feel immediate.
_POLL_SECONDS = 0.25
# The exit code of a check that Ctrl-C ended.
_INTERRUPTED = 130
# Clears the screen and its scrollback, like `clear`.
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


@dataclass(slots=True)
class _Files:
    """The watched files, including new ones, and the files that they refer to."""

    candidates: Callable[[], Iterable[Path]]
    known: dict[Path, AgentFileWatcher] = field(default_factory=dict)

    def poll(self) -> Marks:
        try:
            paths = list(self.candidates())
        except (FileUnreadable, UsageError):  # such as a folder that is being moved
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
    """Runs `check` now and after every change, until Ctrl-C.

    `candidates` returns the files to watch, including new ones; `check` gets those that
    changed, none the first time, and returns an exit code.

    Raises errors of the command line in the first check; later ones, and all findings
    about files, are printed.
    """
    files = _Files(candidates)
    before = files.poll()
    _clear()
    try:
        _check(check, frozenset())
    except ConfigError as error:
        print_error(error)
    typer.echo("watching for changes; press Ctrl-C to stop", err=True)
    # A check can run its own event loop, so this one is paused during checks.
    with LoopRunner() as runner:
        changes = _follow(files, before)

        async def wait() -> frozenset[Path]:
            return await anext(changes)

        while True:
            changed = runner.run(wait())
            _clear()
            names = ", ".join(sorted(map(str, changed)))
            typer.echo(f"{names} changed", err=True)
            try:
                _check(check, changed)
            except (ConfigError, FileUnreadable, UsageError) as error:
                print_error(error)


def _check(check: Callable[[frozenset[Path]], int], changed: frozenset[Path]) -> None:
    if check(changed) == _INTERRUPTED:
        raise KeyboardInterrupt  # its results are printed already


def _follow(files: _Files, before: Marks) -> AsyncIterator[frozenset[Path]]:
    async def poll() -> Marks:
        return await asyncio.to_thread(files.poll)

    async def pause() -> None:
        await asyncio.sleep(_POLL_SECONDS)

    return watch_changes(before, poll, pause)


def _clear() -> None:
    if sys.stdout.isatty():
        typer.echo(_CLEAR, nl=False)
