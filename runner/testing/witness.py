"""Sees all of a call and remembers what scenarios ask about; an observer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Literal

from runner.audio.devices import Speaker
from runner.protocol.client.actions import (
    Action,
    Announce,
    CancelTool,
    Close,
    Outcome,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.events import (
    Event,
    Garbled,
    HangUp,
    MicFrame,
    Received,
    ToolFinished,
)
from runner.protocol.messages import (
    InputAudio,
    InputSpeechStarted,
    ReplyAudio,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    ToolCall,
    TranscriptAgent,
    TranscriptUser,
)
from runner.scenarios.model import Party
from runner.testing.results import CallSeen


@dataclass(slots=True)
class Utterance:
    """What one side said; of the agent, `sounded_at` is its first sound."""

    speaker: Literal["caller", "agent"]
    text: str
    at: float
    reply_id: str = ""
    sounded_at: float | None = None
    interrupted: bool = False


@dataclass(slots=True)
class Interruption:
    """The caller took the floor: when that was decided, and when silence followed."""

    decided_at: float
    reply_id: str
    what: Literal["greeting", "reply", "tool"]  # the last: a call was running
    silent_at: float | None = None
    is_broken: bool = False  # sound of the reply came after all


@dataclass(slots=True)
class CallRecord:
    """One tool call as it goes on."""

    message: ToolCall
    began: float
    ended: float | None = None
    result: str | None = None
    is_error: bool = False
    is_cancelled: bool = False

    @property
    def is_running(self) -> bool:
        """Whether nobody knows yet what it comes to."""
        return self.ended is None and not self.is_cancelled

    @property
    def seen(self) -> CallSeen:
        """The call as reports tell it."""
        took = None if self.ended is None else round(self.ended - self.began, 3)
        name, arguments = self.message.name, self.message.arguments
        return CallSeen(name, arguments, self.result, self.is_error, took)


@dataclass(slots=True)
class Reply:
    """The reply that is under way, or the last one."""

    reply_id: str = ""
    sounded_at: float | None = None
    is_over: bool = True


class Witness:
    """What has happened in one call so far; times are on the engine's clock."""

    def __init__(self) -> None:
        self.said: list[Utterance] = []
        self.calls: dict[str, CallRecord] = {}
        self.interruptions: list[Interruption] = []
        self.errors: list[str] = []
        self.reply = Reply()
        self.line = LineHistory()
        self.ready_at = 0.0  # when the session first stood
        self.quiet_at: list[float] = []  # the ends of the caller's words
        self.close: Close | None = None
        self.speaker: Speaker | None = None  # set once it is there
        self._changed = asyncio.Event()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Return when something has happened; asked after each event but sound."""
        while not happened():
            self._changed.clear()
            await self._changed.wait()

    def quiet_since(self, at: float) -> float:
        """Return when the caller's last words before `at` ended."""
        return max(
            (each for each in self.quiet_at if each <= at), default=self.ready_at
        )

    @property
    def ended_by(self) -> Party | None:
        """Who ended the call; None while it goes on, and where it broke off."""
        close = self.close
        is_clean = close is not None and close.outcome is Outcome.CLEAN
        return self.line.ended_by if is_clean else None

    @property
    def waits(self) -> list[float]:
        """Seconds from the end of the caller's words to the answer's first sound."""
        waits: list[float] = []
        answers = [each for each in self.said if each.speaker == "agent"]
        sounds = [each.sounded_at or each.at for each in answers]
        for since, until in pairwise([*self.quiet_at, inf]):
            answered = [each for each in sounds if since <= each < until]
            waits += [round(answered[0] - since, 3)] if answered else []
        return waits

    def add_words(self, text: str, at: float) -> None:
        """Take note of words that the caller typed: no transcript follows."""
        self.said.append(Utterance("caller", text, at))

    def observe(self, at: float, what: Event | Action) -> None:
        """Take note of an event or an action; see `runner.engine.Observer`."""
        match what:
            case MicFrame() | Send(InputAudio()) | Received(ReplyAudio()):
                return
            case Play():
                if not self._note_sound(at):
                    return
            case Received(message):
                self._note_message(at, message)
            case Announce(text):
                self.said.append(Utterance("agent", text, at, sounded_at=at))
            case StopPlayback():
                self._note_silence(at)
            case RunTool() | ToolFinished() | CancelTool():
                self._note_call(at, what)
            case Garbled(reason):
                self.errors.append(f"unreadable: {reason}")
            case Close():
                self.close = what
        self.line.observe(what)
        self._changed.set()

    def _note_call(self, at: float, what: RunTool | ToolFinished | CancelTool) -> None:
        match what:
            case RunTool(call):
                self.calls[call.call_id] = CallRecord(call, at)
            case ToolFinished(call_id, text, is_error) if call_id in self.calls:
                record = self.calls[call_id]
                record.ended, record.result, record.is_error = at, text, is_error
            case CancelTool(call_id) if call_id in self.calls:
                self.calls[call_id].is_cancelled = True

    def _note_sound(self, at: float) -> bool:
        """Take note of sound that is played; return whether it is news."""
        last = self.interruptions[-1] if self.interruptions else None
        if last is not None and last.reply_id == self.reply.reply_id:
            last.silent_at = None  # sound of a reply that was cut off
            last.is_broken = True
        is_first = self.reply.sounded_at is None
        if is_first:
            self.reply.sounded_at = at
        return is_first

    def _note_silence(self, at: float) -> None:
        last = self.interruptions[-1] if self.interruptions else None
        if last and last.silent_at is None and not last.is_broken:
            # What is still in the buffer is the fade, if the order has come there; an
            # observer hears of it just before the speaker does.
            asyncio.get_running_loop().call_soon(self._measure, last, at)

    def _measure(self, interruption: Interruption, at: float) -> None:
        pending = 0.0 if self.speaker is None else self.speaker.pending_ms
        interruption.silent_at = at + pending / 1000
        self._changed.set()

    def _note_message(self, at: float, message: object) -> None:
        match message:
            case InputSpeechStarted():
                speaker = self.speaker
                if not self.reply.is_over or (speaker and speaker.pending_ms > 0):
                    self._note_interruption(at)
            case SessionReady() if not self.ready_at:
                self.ready_at = at
            case TranscriptUser(text=text):
                self.said.append(Utterance("caller", text, at))
            case ReplyStarted(reply_id):
                self.reply = Reply(reply_id, is_over=False)
            case TranscriptAgent(text=text):
                self._note_words(at, message)
            case ReplyDone():
                self.reply.is_over = True
            case ReplyError(message=text) | SessionError(message=text):
                self.errors.append(f"{message.code}: {text}")
            case _:
                pass

    def _note_interruption(self, at: float) -> None:
        what: Literal["greeting", "reply", "tool"] = "reply"
        if any(call.is_running for call in self.calls.values()):
            what = "tool"
        elif not any(each.speaker == "caller" for each in self.said):
            what = "greeting"
        self.interruptions.append(Interruption(at, self.reply.reply_id, what))

    def _note_words(self, at: float, message: TranscriptAgent) -> None:
        is_this = message.reply_id == self.reply.reply_id
        sounded_at = self.reply.sounded_at if is_this else None
        self.said.append(
            Utterance(
                "agent",
                message.text,
                at,
                message.reply_id,
                sounded_at,
                message.interrupted,
            )
        )


@dataclass(slots=True)
class LineHistory:
    """How the session's lines began and ended."""

    resumes: int = 0
    fresh_starts: int = 0
    _is_resuming: bool = False
    _said_goodbye: bool = False
    _hung_up: bool = False
    _service_ended: bool = False
    _sessions: int = field(default=0)

    @property
    def ended_by(self) -> Party:
        """Who ended the call; limits of the agent file count as the agent."""
        if self._hung_up:
            return "caller"
        return "service" if self._service_ended else "agent"

    def observe(self, what: Event | Action) -> None:
        """Take note of an event or an action."""
        match what:
            case Send(SessionResume()):
                self._is_resuming = True
            case Send(SessionUpdate()):
                self._is_resuming = False
            case Received(SessionReady()):
                self.resumes += self._is_resuming
                self.fresh_starts += bool(self._sessions) and not self._is_resuming
                self._sessions += 1
            case Send(SessionEnd()):
                self._said_goodbye = True
            case HangUp():
                self._hung_up = True
            case Received(SessionEnded()):
                self._service_ended = not self._said_goodbye
            case _:
                pass
