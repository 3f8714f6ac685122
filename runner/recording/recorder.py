"""Records a call as it happens, beside it: the call does not wait for the disk.

On the event loop's thread an event costs an append to a list of what waits. A thread
of the recorder's own wakes a dozen times a second and writes; after a kill at any
moment everything is there but what happened since. Where the loop's time is not real,
nothing runs beside it: then `flush` writes, and so does every thousandth event.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Self

from runner.errors import AudioFileError, FileUnreadable, os_error_text
from runner.protocol.client.actions import Action, Play
from runner.protocol.client.events import Event, MicFrame
from runner.recording.audio_tracks import WavFiles
from runner.recording.call_log import CALLS_FILE, CallLog, write_call
from runner.recording.format import (
    AudioCounter,
    Entry,
    Header,
    LineFile,
    sound_text,
    write_header,
    write_line,
)
from runner.recording.reader import SESSION_FILE
from runner.recording.redaction import learn_token, redact
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


# Everything that one recording writes, in the order in which it happened.


AGENT_FILE = "agent.yaml"
_TIME_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one recording: seconds of the call, and bytes of both .jsonl files.

    Two hours of sound in three files are 1.4 GB. `backlog` is how many events and
    actions may wait for a slow disk: some minutes of a call.
    """

    seconds: float = 2 * 3600.0
    text_bytes: int = 256 * 1024 * 1024
    backlog: int = 50_000


class LimitReached(Exception):
    """A bound of the recording; the text says which."""


class RecordingWriter:
    """The files of one recording; times are seconds since the call began.

    Raises OSError and `AudioFileError` when the disk does not take them, and
    `LimitReached`; after any of these only `stop` may follow.
    """

    def __init__(
        self,
        folder: Path,
        header: Header,
        agent_text: str,
        redactor: Redactor,
        limits: Limits,
    ) -> None:
        """Begin a recording in a folder that holds none yet; make it if need be."""
        self._limits = limits
        self._redactor = redactor
        self._redacts = header.is_redacted
        self._count, self._log = AudioCounter(), CallLog()
        self._at = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            self._session = LineFile(folder / SESSION_FILE)
            opened.callback(self._session.close)
            self._calls = LineFile(folder / CALLS_FILE)
            opened.callback(self._calls.close)
            self._session.append(self._redactor.tree(write_header(header)))
            self._session.flush()
            text = self._redactor.text(agent_text).encode("utf-8", "replace")
            (folder / AGENT_FILE).write_bytes(text)
            self._waves = WavFiles(folder) if header.has_sound else None
            if self._waves is not None:
                opened.callback(self._waves.close)
                self._waves.open()
            opened.pop_all()

    def take(self, at: float, what: Event | Action) -> None:
        """Take in what happened; on disk after the next `flush`."""
        if at > self._limits.seconds:
            hours = self._limits.seconds / 3600
            self._refuse(f"a recording holds {hours:g} hours of a call")
        self._at = at
        if self._waves is not None:
            self._waves.note(at, what)
        if self._count.note(at, what):
            return
        assert not isinstance(what, MicFrame | Play), "sound was counted"
        self._count.cut()
        self._write_sounds()
        learn_token(self._redactor, what)
        self._write(at, redact(what) if self._redacts else what)

    def flush(self) -> None:
        """Bring all files up to date."""
        self._count.cut()
        self._write_sounds()
        self._session.flush()
        self._calls.flush()
        if self._waves is not None:
            self._waves.write()

    def finish(self) -> None:
        """Write the end and close: nothing more will come."""
        self.flush()
        if self._waves is not None:
            self._at = max(self._at, self._waves.finish())
        self._session.append({"at": round(self._at, _TIME_DIGITS), "end": True})
        self._session.flush()
        self._close()

    def stop(self, reason: str) -> None:
        """Close before the end, with a word why if that can still be written."""
        line = {"at": round(self._at, _TIME_DIGITS), "stopped": reason}
        with contextlib.suppress(OSError):
            self._calls.flush()
            if not self._session.is_broken:
                self._session.append(line)
                self._session.flush()
        self._close()

    def _close(self) -> None:
        self._session.close()
        self._calls.close()
        if self._waves is not None:
            self._waves.close()

    def _write_sounds(self) -> None:
        for at, sound in self._count.finished:
            if sound.reply_id:
                sound.reply_id = self._redactor.text(sound.reply_id)
            self._check_size()
            self._session.append_text(sound_text(at, sound))
        self._count.finished.clear()

    def _write(self, at: float, entry: Entry) -> None:
        line = write_line(at, entry)
        time = line.pop("at")
        self._append(self._session, {"at": time, **self._redactor.tree(line)})
        call = self._log.note(at, entry)
        if call is not None:
            self._append(self._calls, self._redactor.tree(write_call(call)))

    def _append(self, file: LineFile, line: dict[str, Any]) -> None:
        self._check_size()
        file.append(line)

    def _check_size(self) -> None:
        if self._session.bytes + self._calls.bytes > self._limits.text_bytes:
            megabytes = self._limits.text_bytes / 1024 / 1024
            self._refuse(f"a recording holds {megabytes:g} MB of lines")

    def _refuse(self, reason: str) -> NoReturn:
        if self._waves is not None:
            self._waves.write()
        raise LimitReached(reason)


# Where a recording goes: a new folder for each, named by its time and its agent.


_LONGEST_NAME = 60  # with the time far from every system's limit


def new_folder(into: Path, agent: str, now: datetime) -> Path:
    """Make `into/2026-01-31T14-05-09-agent` and return it; never one that is there.

    Raises:
        FileUnreadable: it cannot be made.
    """
    plain = re.sub(r"[^\w-]+", "-", agent).strip("-")[:_LONGEST_NAME] or "agent"
    name = f"{now:%Y-%m-%dT%H-%M-%S}-{plain}"
    try:
        into.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = into / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise FileUnreadable(
            f"the call cannot be recorded in '{into}': {os_error_text(error)}",
            hint="choose another folder, or run without --record",
        ) from error
