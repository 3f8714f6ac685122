"""A file of JSON lines that is read while it grows, or after a kill."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from runner.protocol.notation import dumps

# Flushes between two looks whether the file is still there: about a second of a call.
_LOOK_EVERY = 20


class LineFile:
    """Gathers lines and writes them all at once; raises OSError when that fails.

    The system's own cache is enough against the end of this program; nothing here
    waits for the disk itself.
    """

    def __init__(self, path: Path) -> None:
        """Make the file; raises FileExistsError for one that is there."""
        # Unbuffered: what a full disk refused must not be tried again in `close`.
        self._file = FileIO(path, "xb")
        self._pending: list[bytes] = []
        self._flushes = 0
        self.bytes = 0  # appended so far
        self.is_broken = False  # it may end with half a line

    def append(self, value: Mapping[str, Any]) -> None:
        """Add a line, to be written with the next `flush`."""
        self.append_text(dumps(value))

    def append_text(self, text: str) -> None:
        """Add a line that is JSON text already."""
        line = text.encode() + b"\n"
        self.bytes += len(line)
        self._pending.append(line)

    def flush(self) -> None:
        """Write what was appended."""
        self._flushes += 1
        if self._flushes % _LOOK_EVERY == 0:
            self._look()
        if not self._pending:
            return
        view = memoryview(b"".join(self._pending))
        self._pending.clear()
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self.is_broken = True
            raise

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        self._file.close()

    def _look(self) -> None:
        # Where open files can be removed, writing to them goes on without an error.
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the folder was removed")
