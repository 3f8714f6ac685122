"""Recorder of calls: an observer of the engine that does not delay the call.

On the event loop's thread, an event is only appended to a backlog. The recorder's own
thread writes it about 13 times a second, so a kill loses at most the last period. On a
virtual clock it has no thread: `flush` writes, and so does every thousandth event.
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
    audio_line,
    write_header,
    write_line,
)
from runner.recording.reader import SESSION_FILE
from runner.recording.redaction import add_resume_token, redact
from runner.redaction import Redactor
from runner.safe_files import (
    PRIVATE_FOLDER,
    make_private_folders,
    open_private,
    write_file,
)

# Waking up costs more CPU than writing; a kill may lose a tenth of a second.
_WRITE_PERIOD_SECONDS = 0.075
_MAX_BACKLOG_WITHOUT_THREAD = 1000
# Limit for the last write at the end of a call, for disks that do not respond.
_LAST_WRITE_SECONDS = 5.0


class Recorder:
    """Observer of the engine that writes a recording; a context manager.

    After the start, an error of the disk stops the recording and not the call: `notice`
    is called once with a message, from the recorder's thread if there is one.
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
        """Configures a recording in `folder`, which is created on entry.

        Secrets may be added to `redactor` during the call. The header determines if
        audio is recorded and personal data redacted.
        """
        self.folder = folder
        limits = limits or Limits()
        redactor = redactor or Redactor()
        self._open_writer = partial(
            RecordingWriter, folder, header, agent_text, redactor, limits
        )
        self._notice = notice
        self._writer: RecordingWriter | None = None
        self._began: float | None = None  # the engine's time of the first entry
        self._backlog: deque[tuple[float, Event | Action]] = deque()
        self._max_backlog = limits.backlog if threaded else _MAX_BACKLOG_WITHOUT_THREAD
        self._has_overflowed = False  # entries were dropped
        self._thread = _PeriodicThread(self.flush) if threaded else None

    @property
    def has_stopped(self) -> bool:
        """True if an error has ended the recording, while it is open."""
        return self._writer is None

    def __enter__(self) -> Self:
        """Starts the recording.

        Raises:
            FileUnreadable: it cannot be written.
        """
        try:
            self._writer = self._open_writer()
        except (OSError, AudioFileError) as error:
            reason = os_error_text(error)
            raise FileUnreadable(
                f"the call cannot be recorded in '{self.folder}': {reason}",
                hint="choose another folder, or run without --record",
            ) from error
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def observe(self, at: float, what: Event | Action) -> None:
        """Records an event or an action of the engine, on its clock."""
        self._backlog.append((at, what))
        if len(self._backlog) >= self._max_backlog:
            self._empty_backlog()

    def flush(self) -> None:
        """Writes the backlog; called on the recorder's thread, if it has one."""
        writer = self._writer
        if writer is None:
            self._backlog.clear()
            return
        try:
            self._write(writer)
        except (LimitReached, OSError, AudioFileError) as error:
            self._stop(writer, os_error_text(error))

    def close(self) -> None:
        """Writes the end of the recording; harmless if it is closed."""
        if self._thread is not None and not self._thread.stop(_LAST_WRITE_SECONDS):
            self._notice(
                f"the recording in '{self.folder}' is incomplete: the disk is too slow"
            )
            return
        self.flush()
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.finish()
        except (LimitReached, OSError, AudioFileError) as error:
            self._stop(writer, os_error_text(error))

    def _write(self, writer: RecordingWriter) -> None:
        backlog, batch = self._backlog, []
        # The event loop's thread may clear it at the same time.
        with contextlib.suppress(IndexError):
            for _ in range(len(backlog)):
                batch.append(backlog.popleft())
        if self._has_overflowed:
            raise LimitReached("the disk does not keep up")
        if batch:
            began = batch[0][0] if self._began is None else self._began
            self._began = began
            for at, what in batch:
                writer.add(at - began, what)
        writer.flush()

    def _empty_backlog(self) -> None:
        """Writes the backlog, or drops it if the thread does not keep up."""
        if self._thread is None:
            self.flush()
        else:
            self._has_overflowed = True
            self._backlog.clear()

    def _stop(self, writer: RecordingWriter, reason: str) -> None:
        self._writer = None
        writer.stop(reason)
        self._notice(f"recording stopped: {reason}; the call continues")


class _PeriodicThread:
    """Calls `work` periodically on its own thread."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        # Held while the thread runs. The interpreter waits for a lock in one step, for
        # an event in dozens of steps.
        self._running = threading.Lock()
        # A daemon: a disk that hangs must not prevent the program from ending.
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._running.acquire()
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Stops the thread; returns True if it ends within `timeout` seconds."""
        if self._running.locked():
            self._running.release()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._running.acquire(timeout=_WRITE_PERIOD_SECONDS):
            self._work()


AGENT_FILE = "agent.yaml"
_TIME_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a recording: seconds of the call, and bytes of both .jsonl files.

    Two hours of audio in three files are 1.4 GB. `backlog` is the number of events and
    actions that may wait for a slow disk: some minutes of a call.
    """

    seconds: float = 2 * 3600.0
    text_bytes: int = 256 * 1024 * 1024
    backlog: int = 50_000


class LimitReached(Exception):
    """A limit of the recording was reached; the text names it."""


class RecordingWriter:
    """Writes the files of a recording; times are seconds since the call began.

    Methods raise OSError, `AudioFileError` and `LimitReached`; after that only `stop`
    may be called.
    """

    def __init__(
        self,
        folder: Path,
        header: Header,
        agent_text: str,
        redactor: Redactor,
        limits: Limits,
    ) -> None:
        """Starts a recording in a folder without one; creates the folder if needed."""
        self._limits = limits
        self._redactor = redactor
        self._redacts = header.is_redacted
        self._counter, self._log = AudioCounter(), CallLog()
        self._at = 0.0
        make_private_folders(folder)
        with contextlib.ExitStack() as opened:
            self._session = LineFile(folder / SESSION_FILE)
            opened.callback(self._session.close)
            self._calls = LineFile(folder / CALLS_FILE)
            opened.callback(self._calls.close)
            self._session.append(self._redactor.tree(write_header(header)))
            self._session.flush()
            text = self._redactor.text(agent_text).encode("utf-8", "replace")
            write_file(folder / AGENT_FILE, text, opener=open_private)
            self._wav_files = WavFiles(folder) if header.has_sound else None
            if self._wav_files is not None:
                opened.callback(self._wav_files.close)
                self._wav_files.open()
            opened.pop_all()

    def add(self, at: float, what: Event | Action) -> None:
        """Adds an event or action, which is written by the next `flush`."""
        if at > self._limits.seconds:
            hours = self._limits.seconds / 3600
            self._refuse(f"a recording holds {hours:g} hours of a call")
        self._at = at
        if self._wav_files is not None:
            self._wav_files.note(at, what)
        if self._counter.note(at, what):
            return
        assert not isinstance(what, MicFrame | Play), "audio was counted"
        self._counter.cut()
        self._write_audio_lines()
        add_resume_token(self._redactor, what)
        self._write(at, redact(what) if self._redacts else what)

    def flush(self) -> None:
        """Updates all files."""
        self._counter.cut()
        self._write_audio_lines()
        self._session.flush()
        self._calls.flush()
        if self._wav_files is not None:
            self._wav_files.write()

    def finish(self) -> None:
        """Writes the end and closes the files."""
        self.flush()
        if self._wav_files is not None:
            self._at = max(self._at, self._wav_files.finish())
        self._session.append({"at": round(self._at, _TIME_DIGITS), "end": True})
        self._session.flush()
        self._close()

    def stop(self, reason: str) -> None:
        """Closes the files before the end, with the reason if it can be written."""
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
        if self._wav_files is not None:
            self._wav_files.close()

    def _write_audio_lines(self) -> None:
        for at, summary in self._counter.finished:
            if summary.reply_id:
                summary.reply_id = self._redactor.text(summary.reply_id)
            self._check_size()
            self._session.append_text(audio_line(at, summary))
        self._counter.finished.clear()

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
        if self._wav_files is not None:
            self._wav_files.write()
        raise LimitReached(reason)


_MAX_NAME_LENGTH = 60  # with the time far below the limit of every file system


_GITIGNORE = "# Recordings contain the words and voices of callers.\n*\n"


def new_folder(into: Path, agent: str, now: datetime) -> Path:
    """Creates and returns a new folder `into/2026-01-31T14-05-09-agent`.

    A new `into` gets a `.gitignore`, so that no recording is committed by mistake.

    Raises:
        FileUnreadable: it cannot be created.
    """
    plain = re.sub(r"[^\w-]+", "-", agent).strip("-")[:_MAX_NAME_LENGTH] or "agent"
    name = f"{now:%Y-%m-%dT%H-%M-%S}-{plain}"
    try:
        is_new = not into.exists()
        make_private_folders(into)
        if is_new:
            (into / ".gitignore").write_text(_GITIGNORE, "utf-8")
        number = 1
        while True:
            folder = into / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir(mode=PRIVATE_FOLDER)
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise FileUnreadable(
            f"the call cannot be recorded in '{into}': {os_error_text(error)}",
            hint="choose another folder, or run without --record",
        ) from error
