"""Records a call as it happens, beside it: the call does not wait for the disk.

On the event loop's thread an event costs an append to a list of what waits. A thread
of the recorder's own wakes a dozen times a second and writes; after a kill at any
moment everything is there but what happened since. Where the loop's time is not real,
nothing runs beside it: then `flush` writes, and so does every thousandth event.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

from runner.errors import AudioFileError, FileUnreadable, os_error_text
from runner.protocol.client.actions import Action
from runner.protocol.client.events import Event
from runner.recording.header import Header
from runner.recording.tape import LimitReached, Limits, RecordingWriter
from runner.redaction import Redactor

# Seconds. Waking costs more than writing, and a tenth of a second may be lost.
_PERIOD = 0.075
_BATCH = 1000
# How long the end of a call waits for a disk that does not answer, in seconds.
_LAST_WRITE_SECONDS = 5.0


class Recorder:
    """An observer of the engine that leaves a recording; open while it is a context.

    Once it runs, nothing that happens to the disk is an error: recording stops,
    `notice` is told once, from the recorder's own thread if there is one, and the call
    goes on.
    """

    def __init__(
        self,
        folder: Path,
        header: Header,
        agent_text: str,
        *,
        redactor: Redactor | None = None,
        notice: Callable[[str], object] = lambda text: None,
        limits: Limits | None = None,
        threaded: bool = True,
    ) -> None:
        """Record into `folder`, which is made; `redactor` removes secrets.

        More secrets may be added to it while the call runs. Sound and personal data
        are kept as the header says.
        """
        self.folder = folder
        limits = limits or Limits()
        redactor = redactor or Redactor()
        self._open = partial(
            RecordingWriter, folder, header, agent_text, redactor, limits
        )
        self._notice = notice
        self._tape: RecordingWriter | None = None
        self._began: float | None = None  # the engine's time of the first action
        self._backlog: deque[tuple[float, Event | Action]] = deque()
        self._most = limits.backlog if threaded else _BATCH
        self._is_late = False  # more waited than may: there is a gap
        self._writer = _Writer(self.flush) if threaded else None

    @property
    def has_stopped(self) -> bool:
        """Whether the recording ended, while it is open: what was left is not there."""
        return self._tape is None

    def __enter__(self) -> Self:
        """Begin the recording.

        Raises:
            FileUnreadable: it cannot be written.
        """
        try:
            self._tape = self._open()
        except (OSError, AudioFileError) as error:
            reason = os_error_text(error)
            raise FileUnreadable(
                f"the call cannot be recorded in '{self.folder}': {reason}",
                hint="choose another folder, or run without --record",
            ) from error
        if self._writer is not None:
            self._writer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def observe(self, at: float, what: Event | Action) -> None:
        """Note an event or an action of the engine, on its clock."""
        self._backlog.append((at, what))
        if len(self._backlog) >= self._most:
            self._relieve()

    def flush(self) -> None:
        """Write what was noted; on the recorder's thread, where it has one."""
        tape = self._tape
        if tape is None:
            self._backlog.clear()
            return
        try:
            self._write(tape)
        except (LimitReached, OSError, AudioFileError) as error:
            self._stop(tape, os_error_text(error))

    def close(self) -> None:
        """Write the end of the recording; harmless when it is closed."""
        if self._writer is not None and not self._writer.stop(_LAST_WRITE_SECONDS):
            self._notice(
                f"the recording in '{self.folder}' is not whole: disk too slow"
            )
            return
        self.flush()
        tape, self._tape = self._tape, None
        if tape is None:
            return
        try:
            tape.finish()
        except (LimitReached, OSError, AudioFileError) as error:
            self._stop(tape, os_error_text(error))

    def _write(self, tape: RecordingWriter) -> None:
        backlog, batch = self._backlog, []
        # The loop's thread may empty it meanwhile.
        with contextlib.suppress(IndexError):
            for _ in range(len(backlog)):
                batch.append(backlog.popleft())
        if self._is_late:
            raise LimitReached("the disk does not keep up")
        if batch:
            began = batch[0][0] if self._began is None else self._began
            self._began = began
            for at, what in batch:
                tape.take(at - began, what)
        tape.flush()

    def _relieve(self) -> None:
        """Keep what waits within its bound."""
        if self._writer is None:
            self.flush()
        else:
            self._is_late = True
            self._backlog.clear()

    def _stop(self, tape: RecordingWriter, reason: str) -> None:
        self._tape = None
        tape.stop(reason)
        self._notice(f"recording stopped: {reason}; the call goes on")


class _Writer:
    """Calls `work` every so often on a thread of its own."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        # Held while the thread is to go on. Waiting for a lock is one step of the
        # interpreter's own, for an event it is dozens, a dozen times a second.
        self._going_on = threading.Lock()
        # A daemon: a disk that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._going_on.acquire()
        self._thread.start()

    def stop(self, patience: float) -> bool:
        """End the thread; return whether it did within `patience` seconds."""
        if self._going_on.locked():
            self._going_on.release()
        if self._thread.is_alive():
            self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._going_on.acquire(timeout=_PERIOD):
            self._work()
