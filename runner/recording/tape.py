"""Everything that one recording writes, in the order in which it happened."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from runner.protocol.client.actions import Action, Play
from runner.protocol.client.events import Event, MicFrame
from runner.recording.call_log import CALLS_FILE, CallLog, write_call
from runner.recording.format import Entry, write_line
from runner.recording.header import Header, write_header
from runner.recording.linefile import LineFile
from runner.recording.reader import SESSION_FILE
from runner.recording.redaction import learn_token, redact
from runner.recording.sounds import AudioCounter, sound_text
from runner.recording.waves import WavFiles
from runner.redaction import Redactor

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
