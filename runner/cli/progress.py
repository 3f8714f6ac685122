"""Shows a fetch of weights on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from runner.speech.downloads import Progress

_QUARTER = 0.25


@contextmanager
def showing_progress() -> Iterator[Progress]:
    """Yield what suits stderr: it may be a terminal, a file or a pipe."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as RichProgress

    with RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bars:
        yield ProgressBars(bars)


class ProgressBars:
    """A bar for each file, with sizes, speed and time left."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def begin(self, label: str, size: int, done: int) -> None:
        self._task = self._bars.add_task(label, total=size, completed=done)

    def advance(self, done: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=done)

    def end(self) -> None:
        self._task = None

    def say(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


class PlainProgress:
    """A line at the beginning, at each quarter of a big file and at the end."""

    def __init__(self) -> None:
        self._label = ""
        self._size = 0
        self._shown = 0.0  # share of the file that was said last, 0 to 1

    def begin(self, label: str, size: int, done: int) -> None:
        self._label, self._size = label, size
        self._shown = done / size
        begun = f", {megabytes(done)} of it are here" if done else ""
        self.say(f"{label}: {megabytes(size)}{begun}")

    def advance(self, done: int) -> None:
        share = done / self._size
        if share >= min(1.0, self._shown + _QUARTER) and share > self._shown:
            self._shown = share
            self.say(f"{self._label}: {int(100 * share)}%")

    def end(self) -> None: ...

    def say(self, text: str) -> None:
        typer.echo(text, err=True)


def megabytes(size: float) -> str:
    """Write a size as people read it: decimal, like disks and downloads."""
    if size < 1e5:
        return f"{size / 1e3:,.1f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"
