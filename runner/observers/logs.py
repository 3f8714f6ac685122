"""A call as a log: an entry for each thing that happened, secrets masked.

Without detail it holds what happened, when and how long it took, but not what was said:
no words, no arguments, no results. With it every message is there, and all of that;
sound, of which there are two hundred pieces a second, is summed up each second.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

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
from runner.telemetry.entries import Level, LogEntry, write_entry

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
