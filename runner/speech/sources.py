"""Where the bytes of a weight file can be had, and what every source promises.

A source appends to a `.part` file, which always holds the file's first bytes: whatever
one source has brought another goes on from, since all of them give the same bytes.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from runner.errors import SpeechError, os_error_text
from runner.speech.manifest import WeightFile


class SourceFailed(SpeechError):
    """This source does not give the file: the next one is asked. Never leaves
    `Weights.fetch`, which gathers the reasons."""


class StillFailing(SourceFailed):
    """It failed before in this run, for the same reason: no need to say it again."""


class DiskFull(SpeechError):
    """No room for the weights."""


class Progress(Protocol):
    """Watches a fetch; whoever draws bars implements it."""

    def begin(self, label: str, size: int, done: int) -> None:
        """A file of `size` bytes begins, or goes on after `done` bytes."""
        ...

    def advance(self, done: int) -> None:
        """So many bytes of it are here now; may go down when a source starts anew."""
        ...

    def end(self) -> None:
        """The file is over: complete, or given up."""
        ...

    def say(self, text: str) -> None:
        """Something a person should know: a source passed over, a wait."""
        ...


class Unwatched:
    """A progress that nobody looks at."""

    def begin(self, label: str, size: int, done: int) -> None: ...

    def advance(self, done: int) -> None: ...

    def end(self) -> None: ...

    def say(self, text: str) -> None: ...


class Source(Protocol):
    """One place to get files from, kept for one run: it remembers what was dead."""

    def offers(self, file: WeightFile) -> bool:
        """Return whether the manifest says that this source has the file."""
        ...

    def complete(self, file: WeightFile, part: Path, progress: Progress) -> None:
        """Append what `part` lacks; raises SourceFailed (what came is kept, and can be
        gone on from) or DiskFull."""
        ...

    def close(self) -> None:
        """Let go of connections and scratch files."""
        ...


def length(path: Path) -> int:
    """Return the length of a file in bytes, 0 when it is not there."""
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def naming_disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the disk at `path` into sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"the disk of '{path.parent}' is full",
                hint="make room, or let VAGENT_MODELS name a folder on another disk",
            ) from error
        raise SpeechError(
            f"cannot write '{path}': {os_error_text(error)}",
            hint="let VAGENT_MODELS name a folder that can be written",
        ) from error
