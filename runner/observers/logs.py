"""A call as a log: an entry for each thing that happened, secrets masked.

Without detail it holds what happened, when and how long it took, but not what was said:
no words, no arguments, no results. With it every message is there, and all of that;
sound, of which there are two hundred pieces a second, is summed up each second.
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

# One line of a log: as text for people, as JSON for programs.


Level: TypeAlias = Literal["debug", "info", "warning", "error"]
# A text needs no quotes if it holds none of these.
_SPECIAL = frozenset(' ="\\')


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Something that happened; `at` is epoch seconds, "" an id that there is not."""

    at: float
    level: Level
    event: str
    session: str = ""
    call: str = ""
    agent: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def write_entry(entry: LogEntry, format: LogFormat) -> str:
    """Return the one line of an entry, without its end; nothing in it breaks it."""
    ids = {"session": entry.session, "call": entry.call, "agent": entry.agent}
    known = {name: value for name, value in ids.items() if value}
    time = _time(entry.at)
    if format == "json":
        head = {"ts": time, "level": entry.level, "event": entry.event}
        return _json_text({**head, **known, **entry.fields})
    pairs = {**known, **entry.fields}
    said = " ".join(f"{name}={_word(value)}" for name, value in pairs.items())
    return f"{time} {entry.level.upper():7} {entry.event} {said}".rstrip()


def _time(at: float) -> str:
    """Return RFC 3339 in UTC, with milliseconds."""
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _word(value: Any) -> str:
    if isinstance(value, str) and value and value.isprintable():
        return value if _SPECIAL.isdisjoint(value) else _json_text(value)
    return _json_text(value)


def _json_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    if text.isprintable():
        return text
    # What would end a line for some reader, command a terminal, or not be UTF-8.
    escaped = json.dumps(value, separators=(",", ":"), default=str)
    return escaped.replace("\x7f", "\\u007f")


_SOUND_PERIOD = 1.0  # seconds
_BYTES_A_MS = 48  # 24 kHz, 16 bits, mono


class Log:
    """Writes entries as lines to a sink; a handler of a call's events."""

    def __init__(
        self,
        sink: Callable[[str], object],
        format: LogFormat,
        conceal: Redactor,
        clock: Callable[[], float],
        *,
        is_detailed: bool = False,
    ) -> None:
        """`clock` returns epoch seconds; a sink takes a line without its end."""
        self.is_detailed = is_detailed
        self.agent = ""  # set once it is known
        self.session = ""
        # Added to the engine's time it is epoch seconds; set when the call begins.
        self.epoch = 0.0
        self._sink = sink
        self._format: LogFormat = format
        self._conceal = conceal
        self._clock = clock

    def note(self, event: CallEvent) -> None:
        """Write an event of the call."""
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
        """Write something else; now, or at a time on the engine's clock."""
        when = self._clock() if at is None else self.epoch + at
        self._write(when, level, event, fields, call)

    def stray(self, text: str, level: int, library: str) -> None:
        """Write what a library logged."""
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
        text, tree = self._conceal.text, self._conceal.tree
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
        self._since: float | None = None  # when the sums below began
        self._sums = {"sent_ms": 0, "received_ms": 0, "played_ms": 0}

    def observe(self, at: float, what: Event | Action) -> None:
        """Log a message, or sum up sound."""
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
        elif at - self._since >= _SOUND_PERIOD:
            self.flush(at)
            self._since = at
        self._sums[name] += len(pcm)

    def flush(self, at: float) -> None:
        """Log the sound since the last time, if there was any."""
        sums = {name: each // _BYTES_A_MS for name, each in self._sums.items() if each}
        if sums and self._since is not None:
            seconds = round(at - self._since, 3)
            self._log.say("debug", "audio", at, "", seconds=seconds, **sums)
        self._since = None
        self._sums = dict.fromkeys(self._sums, 0)


_Described = tuple[Level, str, str, Mapping[str, Any]]


def _describe(event: CallEvent, is_detailed: bool) -> _Described | None:
    """Return level, name, call id and fields of an event; None: it is not logged."""
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
            words = {"text": text} if is_detailed else {"characters": len(text)}
            cut = {"interrupted": True} if is_interrupted else {}
            return "info", "transcript", "", {"by": side, **words, **cut}
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


# A log in a file that grows; whoever writes to it never waits for the disk.


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


# What other libraries log while a call goes on: caught, so that it tears no screen.


# Is told a line, its level and whose it is; on whatever thread it was logged.
Tell: TypeAlias = Callable[[str, int, str], None]
_NEVER = logging.CRITICAL + 1


class _Catcher(logging.Handler):
    """Hands every record on as one text; one that cannot be put into words, without."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                error = record.exc_info[1]
                text += f": {type(error).__name__}: {error}"
        except Exception as error:  # arguments that do not fit, or a __str__ that fails
            text = f"a log line that cannot be written: {type(error).__name__}"
        self._tell(text, record.levelno, record.name)


@contextlib.contextmanager
def capture_library_logs(tell: Tell, level: int = logging.WARNING) -> Iterator[None]:
    """Tell what is logged at this level or above, warnings too, and do not print it.

    Without a handler Python prints warnings on stderr, in the middle of whatever is
    shown there.
    """
    root = logging.getLogger()
    before, catcher = root.level, _Catcher(tell)
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
