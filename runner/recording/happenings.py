"""What happened in a call besides words: tools, drops of the line, losses, its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from runner.protocol.client.actions import Close, Connect, Notify, RunTool, Send
from runner.protocol.client.events import (
    Disconnected,
    Garbled,
    HangUp,
    Received,
    ToolFinished,
)
from runner.protocol.messages import (
    InputAudio,
    ReplyError,
    SessionEnd,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    ToolCall,
    ToolResult,
    Unknown,
)
from runner.recording.calls import CallLog, RecordedCall
from runner.recording.lines import Entry, Sound
from runner.recording.turns import BYTES_A_SECOND


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One tool call: when it was asked for, what for, and what it came to.

    `seconds` is None where it never ran or ran on when the recording ended. `answered`
    is when its result went to the service, None if it never did.
    """

    at: float
    call_id: str
    name: str
    arguments: Mapping[str, Any]
    state: Literal["done", "failed", "cancelled", "running", "refused"]
    seconds: float | None = None
    result: Any = None
    answered: float | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """The line was lost: when, why, and when a session was live again (None: never).

    `resumed` tells whether that was the same session.
    """

    at: float
    reason: str
    until: float | None = None
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was said about the call, in words."""

    at: float
    kind: Literal["error", "notice"]
    text: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended."""

    at: float
    outcome: str
    reason: str


@dataclass(slots=True)
class Losses:
    """What was dropped or ignored; seconds of sound, and counts of messages."""

    microphone_unsent: float = 0.0  # given by the microphone, sent to nobody
    agent_ignored: float = 0.0  # received and not played: of replies that were over
    agent_cleared: float = 0.0  # handed to the speaker and thrown away
    messages_unsent: int = 0  # lost with the line, sound not counted
    messages_garbled: int = 0
    messages_unknown: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__dataclass_fields__)


class ToolRuns:
    """Follows the entries of a call; then has its tool calls."""

    def __init__(self) -> None:
        self._log = CallLog()
        self._asked: dict[str, tuple[float, ToolCall]] = {}
        self._ran: set[str] = set()
        self._ended: dict[str, RecordedCall] = {}
        self._answered: dict[str, float] = {}

    def note(self, at: float, what: Entry) -> None:
        """Take in an entry."""
        match what:
            case Sound():
                return
            case Received(ToolCall() as call):
                self._asked.setdefault(call.call_id, (at, call))
            case RunTool(call):
                self._asked.setdefault(call.call_id, (at, call))
                self._ran.add(call.call_id)
            case Send(ToolResult(call_id=call_id)):
                self._answered.setdefault(call_id, at)
            case _:
                pass
        ended = self._log.note(at, what)
        if ended is not None:
            self._ended[ended.call_id] = ended

    def list(self) -> tuple[ToolRun, ...]:
        """Return the calls in the order in which they were asked for."""
        return tuple(self._run(at, call) for at, call in self._asked.values())

    def _run(self, at: float, call: ToolCall) -> ToolRun:
        ended = self._ended.get(call.call_id)
        state: Literal["done", "failed", "cancelled", "running", "refused"]
        if ended is None:
            state = "running" if call.call_id in self._ran else "refused"
        elif ended.cancelled:
            state = "cancelled"
        else:
            state = "failed" if ended.is_error else "done"
        return ToolRun(
            at if ended is None else ended.at,
            call.call_id,
            call.name,
            call.arguments,
            state,
            None if ended is None else ended.seconds,
            None if ended is None else ended.result,
            self._answered.get(call.call_id),
        )


class Outages:
    """Follows the entries of a call; then has the drops of its line."""

    def __init__(self) -> None:
        self.drops: list[Drop] = []
        self._is_over = False  # whoever hangs up now drops nothing
        self._resumes = False

    @property
    def is_out(self) -> bool:
        """Whether there is no line."""
        return bool(self.drops) and self.drops[-1].until is None

    def note(self, at: float, what: Entry) -> None:
        """Take in an entry."""
        match what:
            case Received(SessionEnded()) | Send(SessionEnd()) | Close():
                self._is_over = True
            case Send(SessionUpdate()) | Connect():
                self._resumes = False
            case Send(SessionResume()):
                self._resumes = True
            case Received(SessionReady()) if self.is_out:
                last = self.drops[-1]
                self.drops[-1] = Drop(last.at, last.reason, at, self._resumes)
            case Disconnected(reason=reason) if not (self._is_over or self.is_out):
                self.drops.append(Drop(at, reason))
            case _:
                pass


@dataclass(slots=True)
class Account:
    """Follows the entries of a call; then has what was lost, said and how it ended."""

    losses: Losses = field(default_factory=Losses)
    remarks: list[Remark] = field(default_factory=list)
    ending: Ending | None = None
    hung_up: HangUp | None = None
    _balance: int = 0  # bytes of the microphone that were not sent

    def note(self, at: float, what: Entry) -> None:
        """Take in an entry."""
        losses = self.losses
        match what:
            case Sound():
                self._balance += what.mic - what.sent
                losses.microphone_unsent = max(0, self._balance) / BYTES_A_SECOND
                ignored = max(0, what.received - what.played)
                losses.agent_ignored += ignored / BYTES_A_SECOND
            case Disconnected(unsent=unsent):
                silent = [each for each in unsent if not isinstance(each, InputAudio)]
                losses.messages_unsent += len(silent)
            case Garbled():
                losses.messages_garbled += 1
            case Received(message):
                self._receive(at, message)
            case ToolFinished() | Notify(""):
                pass
            case Notify(text):
                self.remarks.append(Remark(at, "notice", text))
            case HangUp():
                self.hung_up = what
            case Close(outcome, reason):
                self.ending = Ending(at, outcome.value, reason)
            case _:
                pass

    def _receive(self, at: float, message: object) -> None:
        match message:
            case SessionError(code, text):
                self.remarks.append(Remark(at, "error", f"{code}: {text}"))
            case ReplyError(code=code, message=text):
                self.remarks.append(Remark(at, "error", f"{code}: {text}"))
            case Unknown():
                self.losses.messages_unknown += 1
            case _:
                pass
