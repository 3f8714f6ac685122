"""The log of a call: one redacted entry for each event, as text or JSON lines.

A normal log has events, times and durations, but no transcripts, arguments or results.
A detailed log adds those and every message. Audio, about two hundred messages a second,
is summed up once a second.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from runner.audio.devices import BYTES_PER_MS
from runner.errors import FileUnreadable, os_error_text
from runner.observers.events import (
    AgentReplyEnded,
    AnswerHeard,
    CallEnded,
    CallEvent,
    CallStarted,
    ConnectionLost,
    FinalTranscript,
    SessionOpened,
    ToolEnded,
    ToolStarted,
    TurnStarted,
)
from runner.observers.options import LogFormat
from runner.protocol.client.actions import Action, Play, Send
from runner.protocol.client.events import Event, MalformedMessage, MicFrame, Received
from runner.protocol.codec import encode
from runner.protocol.messages import InputAudio, Message, ReplyAudio
from runner.redaction import Redactor
from runner.safe_files import open_private

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
# Text without these characters needs no quotes.
_SPECIAL = frozenset(' ="\\')


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a log; `at` is epoch seconds, an unknown id is ""."""

    at: float
    level: Level
    event: str
    session: str = ""
    call: str = ""
    agent: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def write_entry(entry: LogEntry, format: LogFormat) -> str:
    """Returns an entry as one line without a line end; line breaks are escaped."""
    ids = {"session": entry.session, "call": entry.call, "agent": entry.agent}
    known = {name: value for name, value in ids.items() if value}
    time = _time(entry.at)
    if format == "json":
        head = {"ts": time, "level": entry.level, "event": entry.event}
        return _json_text({**head, **known, **entry.fields})
    pairs = {**known, **entry.fields}
    text = " ".join(f"{name}={_quoted(value)}" for name, value in pairs.items())
    return f"{time} {entry.level.upper():7} {entry.event} {text}".rstrip()


def _time(at: float) -> str:
    """Returns the time as RFC 3339 in UTC, with milliseconds."""
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _quoted(value: Any) -> str:
    if isinstance(value, str) and value and value.isprintable():
        return value if _SPECIAL.isdisjoint(value) else _json_text(value)
    return _json_text(value)


def _json_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    if text.isprintable():
        return text
    # Escapes line separators, terminal control characters and surrogates.
    escaped = json.dumps(value, separators=(",", ":"), default=str)
    return escaped.replace("\x7f", "\\u007f")


_AUDIO_PERIOD_SECONDS = 1.0


class Log:
    """Writes entries as lines to a sink; a handler of a call's events."""

    def __init__(
        self,
        sink: Callable[[str], object],
        format: LogFormat,
        redactor: Redactor,
        clock: Callable[[], float],
        *,
        is_detailed: bool = False,
    ) -> None:
        """`clock` returns epoch seconds; `sink` gets a line without its line end."""
        self.is_detailed = is_detailed
        self.agent = ""  # set once it is known
        self.session = ""
        # Engine time plus this is epoch seconds; set when the call starts.
        self.epoch = 0.0
        self._sink = sink
        self._format: LogFormat = format
        self._redactor = redactor
        self._clock = clock

    def note(self, event: CallEvent) -> None:
        """Writes an event of the call."""
        if isinstance(event, SessionOpened):
            self.session = event.session_id
        entry = _describe(event, self.is_detailed)
        if entry is not None:
            level, name, call, fields = entry
            self._write(self.epoch + event.at, level, name, fields, call)

    def say(
        self,
        level: Level,
        event: str,
        at: float | None = None,
        call: str = "",
        **fields: Any,
    ) -> None:
        """Writes an entry that is not a call event; `at`: engine time, default now."""
        when = self._clock() if at is None else self.epoch + at
        self._write(when, level, event, fields, call)

    def write_library_record(self, text: str, level: int, library: str) -> None:
        """Writes a log record of a library."""
        known: tuple[tuple[int, Level], ...] = (
            (logging.ERROR, "error"),
            (logging.WARNING, "warning"),
            (logging.INFO, "info"),
        )
        names: list[Level] = [name for least, name in known if level >= least]
        self.say(names[0] if names else "debug", "log", library=library, text=text)

    def _write(
        self,
        at: float,
        level: Level,
        event: str,
        fields: Mapping[str, Any],
        call: str = "",
    ) -> None:
        text, tree = self._redactor.text, self._redactor.tree
        entry = LogEntry(
            at,
            level,
            text(event),
            text(self.session),
            text(call),
            text(self.agent),
            tree(dict(fields)),
        )
        self._sink(write_entry(entry, self._format))


class MessageLog:
    """An observer of the engine that logs every message, for a log with detail."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._since: float | None = None  # start of the sums below
        self._sums = {"sent_ms": 0, "received_ms": 0, "played_ms": 0}

    def observe(self, at: float, what: Event | Action) -> None:
        """Logs a message, or adds audio to the sums."""
        if isinstance(what, MicFrame):
            return
        if isinstance(what, Send):
            if isinstance(what.message, InputAudio):
                self._add(at, "sent_ms", what.message.pcm)
            else:
                self._message(at, "sent", what.message)
        elif isinstance(what, Play):
            self._add(at, "played_ms", what.pcm)
        elif isinstance(what, Received):
            if isinstance(what.message, ReplyAudio):
                self._add(at, "received_ms", what.message.pcm)
            else:
                self._message(at, "received", what.message)
        elif isinstance(what, MalformedMessage):
            self._log.say("warning", "message.malformed", at, reason=what.reason)

    def _message(self, at: float, way: str, message: Message) -> None:
        self.flush(at)
        fields = json.loads(encode(message))
        call = str(fields.get("call_id", ""))
        self._log.say("debug", f"message.{way}", at, call, message=fields)

    def _add(self, at: float, name: str, pcm: bytes) -> None:
        if self._since is None:
            self._since = at
        elif at - self._since >= _AUDIO_PERIOD_SECONDS:
            self.flush(at)
            self._since = at
        self._sums[name] += len(pcm)

    def flush(self, at: float) -> None:
        """Logs the audio since the last flush, if there was any."""
        sums = {name: each // BYTES_PER_MS for name, each in self._sums.items() if each}
        if sums and self._since is not None:
            seconds = round(at - self._since, 3)
            self._log.say("debug", "audio", at, "", seconds=seconds, **sums)
        self._since = None
        self._sums = dict.fromkeys(self._sums, 0)


_Described = tuple[Level, str, str, Mapping[str, Any]]


def _describe(event: CallEvent, is_detailed: bool) -> _Described | None:
    """Returns level, name, call id and fields of an event; None: it is not logged."""
    match event:
        case CallStarted() | SessionOpened() | ConnectionLost() | CallEnded():
            return _describe_connection(event)
        case ToolStarted() | ToolEnded():
            return _describe_tool(event, is_detailed)
        case TurnStarted(_, number, by):
            return "info", "turn.started", "", {"turn": number, "by": by}
        case AnswerHeard(_, since_decision, since_voice):
            waited = {} if since_voice is None else {"latency_s": _s(since_voice)}
            decided = {"since_decision_s": _s(since_decision)}
            return "info", "reply.first_audio", "", {**waited, **decided}
        case FinalTranscript(_, side, text, _, is_interrupted):
            content = {"text": text} if is_detailed else {"characters": len(text)}
            cut = {"interrupted": True} if is_interrupted else {}
            return "info", "transcript", "", {"by": side, **content, **cut}
        case AgentReplyEnded(_, reply_id, is_interrupted=True):
            return "info", "reply.interrupted", "", {"reply": reply_id}
        case _:
            return None


def _describe_connection(
    event: CallStarted | SessionOpened | ConnectionLost | CallEnded,
) -> _Described:
    match event:
        case CallStarted():
            return "info", "call.started", "", {}
        case SessionOpened(lost_seconds=None):
            return "info", "session.ready", "", {}
        case SessionOpened(is_resumed=is_resumed, lost_seconds=float(gone)):
            how = "resumed" if is_resumed else "fresh"
            return (
                "info",
                "session.restored",
                "",
                {"gone_s": _s(gone), "session_is": how},
            )
        case ConnectionLost(_, reason):
            return "warning", "connection.lost", "", {"reason": reason}
        case CallEnded(_, close):
            level: Level = "info" if close.outcome.value == "clean" else "error"
            fields = {"outcome": close.outcome.value, "reason": close.reason}
            return level, "call.ended", "", fields
        case _:
            raise AssertionError(f"not an event of a connection: {event}")


def _describe_tool(event: ToolStarted | ToolEnded, is_detailed: bool) -> _Described:
    if isinstance(event, ToolStarted):
        call = event.call
        given = {"arguments": dict(call.arguments)} if is_detailed else {}
        return "info", "tool.started", call.call_id, {"tool": call.name, **given}
    result = {"result": _json(event.text)} if is_detailed and event.text else {}
    fields = {
        "tool": event.call.name,
        "outcome": event.outcome,
        "seconds": _s(event.seconds),
        **result,
    }
    level: Level = "warning" if event.outcome == "error" else "info"
    return level, "tool.ended", event.call.call_id, fields


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _s(seconds: float) -> float:
    return round(seconds, 3)


# Lines that may wait for the disk; further lines are dropped and counted.
_MAX_PENDING_LINES = 10_000
# The end of a call waits this long for a disk that does not respond.
_MAX_CLOSE_SECONDS = 2.0


class LogFile:
    """Appends lines to a file on its own thread; a context manager.

    After opening, a disk error only stops the log: `notice` is called once, on that
    thread, and the call continues. `write` never waits for the disk.
    """

    def __init__(self, path: Path, notice: Callable[[str], object]) -> None:
        """Raises FileUnreadable if the file cannot be opened."""
        self._path = path
        self._notice = notice
        try:
            # Unbuffered: `close` must not retry what a full disk rejected.
            self._file = FileIO(path, "a", opener=open_private)
        except (OSError, ValueError) as error:
            raise FileUnreadable(
                f"cannot write log '{path}': {os_error_text(error)}",
                hint="choose a file in an existing folder with --log-file",
            ) from error
        self._lines: queue.Queue[str | None] = queue.Queue(_MAX_PENDING_LINES)
        self._is_broken = False
        self.dropped = 0  # lines lost because the disk was too slow
        # A daemon thread: a disk that hangs must not block the exit of the program.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._put(None)
        self._thread.join(_MAX_CLOSE_SECONDS)
        if self._thread.is_alive() or self.dropped:
            self._notice(f"log '{self._path}' is incomplete: the disk is too slow")
        if not self._thread.is_alive():
            self._file.close()

    def write(self, line: str) -> None:
        """Appends a line; on any thread."""
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
            self._notice(f"log '{self._path}' stopped: {reason}; the call continues")


# Gets the text, the level and the logger's name; called on the logging thread.
RecordHandler: TypeAlias = Callable[[str, int, str], None]
_NEVER = logging.CRITICAL + 1


class _ForwardingHandler(logging.Handler):
    """Passes every log record on as one text."""

    def __init__(self, handle: RecordHandler) -> None:
        super().__init__()
        self._handle = handle

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                error = record.exc_info[1]
                text += f": {type(error).__name__}: {error}"
        except Exception as error:  # arguments that do not fit, or a __str__ that fails
            text = f"unreadable log record: {type(error).__name__}"
        self._handle(text, record.levelno, record.name)


@contextlib.contextmanager
def capture_library_logs(
    handle: RecordHandler, level: int = logging.WARNING
) -> Iterator[None]:
    """Passes records at this level or above, and Python warnings, to `handle`.

    Without a handler Python prints warnings on stderr, which breaks a drawn screen.
    """
    root = logging.getLogger()
    before, catcher = root.level, _ForwardingHandler(handle)
    catcher.setLevel(level)
    root.addHandler(catcher)
    root.setLevel(min(level, before or _NEVER))
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(before)
        root.removeHandler(catcher)
