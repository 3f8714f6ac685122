"""A log in a file that grows; whoever writes to it never waits for the disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Self

from runner.errors import FileUnreadable, os_error_text

# Lines that may wait for a disk; beyond them new ones are dropped, counted.
_MOST_WAITING = 10_000
# How long the end of a call waits for a disk that does not answer, in seconds.
_LAST_WRITE_SECONDS = 2.0


class LogFile:
    """Appends lines to a file on a thread of its own, while it is a context.

    Nothing that happens to the disk is an error once it is open: the log stops,
    `notice` is told once, on that thread, and the call goes on.
    """

    def __init__(self, path: Path, notice: Callable[[str], object]) -> None:
        """Raises FileUnreadable when it cannot be opened."""
        self._path = path
        self._notice = notice
        try:
            # Unbuffered: what a full disk refused must not be tried again in `close`.
            self._file = FileIO(path, "a")
        except (OSError, ValueError) as error:
            raise FileUnreadable(
                f"the log '{path}' cannot be written: {os_error_text(error)}",
                hint="give --log-file a file in a folder that is there",
            ) from error
        self._lines: queue.Queue[str | None] = queue.Queue(_MOST_WAITING)
        self._is_broken = False
        self.dropped = 0  # lines for which the disk was too slow
        # A daemon: a disk that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._put(None)
        self._thread.join(_LAST_WRITE_SECONDS)
        if self._thread.is_alive() or self.dropped:
            self._notice(f"the log '{self._path}' is not whole: disk too slow")
        if not self._thread.is_alive():
            self._file.close()

    def write(self, line: str) -> None:
        """Append a line; on any thread."""
        if not self._is_broken:
            self._put(line)

    def _put(self, line: str | None) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._is_broken:
                self._append(line)

    def _append(self, line: str) -> None:
        view = memoryview(line.encode("utf-8", "backslashreplace") + b"\n")
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._is_broken = True
            reason = os_error_text(error)
            self._notice(f"the log '{self._path}' stopped: {reason}; the call goes on")
