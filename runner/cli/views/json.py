"""The view of a call for programs: one JSON object per line on stdout.

Wire messages keep their `type` and gain `direction` (sent or received) and `at`
(seconds since the start). Audio messages have their length in `ms` instead of audio
data. Lines of vagent have a `type` that starts with `vagent.`. Readers must ignore
unknown types and fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.audio.devices import BYTES_PER_MS
from runner.cli.views.wire import Printer
from runner.config.diagnostics import Diagnostic
from runner.observers.call_stats import CallStats, Counters
from runner.protocol.client.actions import (
    Action,
    Announce,
    Close,
    Notify,
    RunTool,
    Send,
)
from runner.protocol.client.events import (
    Event,
    MalformedMessage,
    PlaybackCut,
    Received,
    ToolFinished,
)
from runner.protocol.codec import encode
from runner.protocol.messages import InputAudio, Message, ReplyAudio


@dataclass(slots=True)
class JsonView:
    """An observer of the engine that prints JSON lines."""

    printer: Printer
    record: CallStats
    _began: float | None = None
    _waits_shown: int = 0

    def observe(self, at: float, what: Event | Action) -> None:
        """Prints an event or an action."""
        if self._began is None:
            self._began = at
        match what:
            case Send(message):
                self._wire(at, "sent", message)
            case Received(message):
                self._wire(at, "received", message)
                self._latency(at)
            case _:
                self._other(at, what)

    def _other(self, at: float, what: Event | Action) -> None:
        match what:
            case RunTool(call):
                self._own(at, "tool.started", call_id=call.call_id, name=call.name)
            case ToolFinished(call_id, _, is_error):
                self._own(at, "tool.finished", call_id=call_id, is_error=is_error)
            case PlaybackCut(reply_id, played_ms, dropped_ms):
                self._own(
                    at,
                    "playback_cut",
                    reply_id=reply_id,
                    played_ms=played_ms,
                    dropped_ms=dropped_ms,
                )
            case Announce(text):
                self._own(at, "announcement", text=text)
            case Notify(text):
                self._own(at, "notice", text=text)
            case MalformedMessage(reason):
                self._own(at, "malformed", reason=reason)
            case Close(outcome, reason):
                self._own(at, "closed", outcome=outcome.value, reason=reason)
            case _:
                pass

    def notice(self, text: str) -> None:
        """Prints a notice."""
        self._print({"type": "vagent.notice", "text": text})

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Prints the findings in an agent file that was edited."""
        fields = ("path", "line", "column", "severity", "rule", "message", "help")
        lines = [{name: getattr(each, name) for name in fields} for each in found]
        self._print({"type": "vagent.findings", "findings": lines})

    def recording(self, folder: Path) -> None:
        """Prints the folder of the recording."""
        self._print({"type": "vagent.recording", "folder": str(folder)})

    def summary(self, close: Close, counters: Counters) -> None:
        """Prints the summary, the last line of a call."""
        record = self.record
        self._print(
            {
                "type": "vagent.summary",
                "outcome": close.outcome.value,
                "reason": close.reason,
                "latencies": [round(wait, 3) for wait in record.waits],
                "tool_calls": len(record.calls),
                "tool_calls_failed": sum(
                    call.is_error for call in record.calls.values()
                ),
                "interruptions": record.interruptions,
                "counters": counters.as_dict(),
            }
        )

    def _latency(self, at: float) -> None:
        if len(self.record.waits) > self._waits_shown:
            self._waits_shown = len(self.record.waits)
            self._own(at, "latency", seconds=round(self.record.waits[-1], 3))

    def _wire(self, at: float, direction: str, message: Message) -> None:
        if isinstance(message, InputAudio | ReplyAudio):
            fields: dict[str, Any] = {"type": message.TYPE}
            if isinstance(message, ReplyAudio):
                fields["reply_id"] = message.reply_id
            fields["ms"] = round(len(message.pcm) / BYTES_PER_MS, 3)
        else:
            fields = json.loads(encode(message))
        self._print({**fields, "direction": direction, "at": self._seconds(at)})

    def _own(self, at: float, kind: str, **fields: Any) -> None:
        self._print({"type": f"vagent.{kind}", "at": self._seconds(at), **fields})

    def _seconds(self, at: float) -> float:
        return round(at - (self._began or at), 4)

    def _print(self, content: dict[str, Any]) -> None:
        self.printer.line(json.dumps(content))
