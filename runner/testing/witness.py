"""What scenarios ask about a call: texts, tool calls, interruptions, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Literal

from runner.audio.devices import Speaker
from runner.observers.events import (
    AgentReplyEnded,
    AgentReplyStarted,
    CallEnded,
    CallerSpeechStarted,
    CallEvent,
    ErrorReported,
    FinalTranscript,
    PlaybackStarted,
    PlaybackStopped,
    SessionOpened,
    Side,
    ToolEnded,
    ToolStarted,
)
from runner.protocol.client.actions import Close, Outcome
from runner.protocol.messages import ToolCall
from runner.testing.results import CallSeen
from runner.testing.scenarios.model import Party


@dataclass(slots=True)
class Utterance:
    """What one side said; of the agent, `sounded_at` is its first audio."""

    speaker: Side
    text: str
    at: float
    sounded_at: float | None = None
    interrupted: bool = False


@dataclass(slots=True)
class Interruption:
    """The caller took the floor: when that was decided, and when silence followed."""

    decided_at: float
    reply_id: str
    what: Literal["greeting", "reply", "tool"]  # the last: a tool call was running
    silent_at: float | None = None
    is_broken: bool = False  # audio of the reply was played after it


@dataclass(slots=True)
class CallRecord:
    """One tool call; `ended` is None while it runs and if it was cancelled."""

    message: ToolCall
    began: float
    ended: float | None = None
    result: str | None = None
    is_error: bool = False
    is_cancelled: bool = False

    @property
    def is_running(self) -> bool:
        """True if it has neither ended nor been cancelled."""
        return self.ended is None and not self.is_cancelled

    @property
    def seen(self) -> CallSeen:
        """The call as reports show it."""
        took = None if self.ended is None else round(self.ended - self.began, 3)
        name, arguments = self.message.name, self.message.arguments
        return CallSeen(name, arguments, self.result, self.is_error, took)


@dataclass(slots=True)
class Reply:
    """The latest reply."""

    reply_id: str = ""
    sounded_at: float | None = None
    is_over: bool = True


class CallObserver:
    """Follows the events of one call; times are on the engine's clock."""

    def __init__(self) -> None:
        self.said: list[Utterance] = []
        self.calls: dict[str, CallRecord] = {}
        self.interruptions: list[Interruption] = []
        self.errors: list[str] = []
        self.reply = Reply()
        self.resumes = 0
        self.fresh_starts = 0
        self.ready_at = 0.0  # of the first session
        self.quiet_at: list[float] = []  # the ends of the caller's words
        self.end: CallEnded | None = None
        self.speaker: Speaker | None = None  # set once it is open
        self._changed = asyncio.Event()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Return when a condition holds; it is checked after each event."""
        while not happened():
            self._changed.clear()
            await self._changed.wait()

    def quiet_since(self, at: float) -> float:
        """Return when the caller's last words before `at` ended."""
        return max(
            (each for each in self.quiet_at if each <= at), default=self.ready_at
        )

    @property
    def close(self) -> Close | None:
        """How the call ended; None while it goes on."""
        return None if self.end is None else self.end.close

    @property
    def ended_by(self) -> Party | None:
        """The side that ended the call; None while it goes on and after a failure."""
        end = self.end
        is_clean = end is not None and end.close.outcome is Outcome.CLEAN
        return end.ended_by if end is not None and is_clean else None

    @property
    def waits(self) -> list[float]:
        """Seconds from the end of the caller's words to the answer's first audio."""
        waits: list[float] = []
        answers = [each for each in self.said if each.speaker == "agent"]
        sounds = [each.sounded_at or each.at for each in answers]
        for since, until in pairwise([*self.quiet_at, inf]):
            answered = [each for each in sounds if since <= each < until]
            waits += [round(answered[0] - since, 3)] if answered else []
        return waits

    def note(self, event: CallEvent) -> None:
        """Follow an event."""
        match event:
            case FinalTranscript():
                self._note_text(event)
            case AgentReplyStarted() | AgentReplyEnded():
                self._note_reply(event)
            case CallerSpeechStarted(at):
                self._note_interruption(at)
            case PlaybackStarted() | PlaybackStopped():
                self._note_playback(event)
            case ToolStarted(at, call):
                self.calls[call.call_id] = CallRecord(call, at)
            case ToolEnded():
                self._note_tool_end(event)
            case SessionOpened():
                self._note_session(event)
            case ErrorReported(_, source, code, text):
                kind = "unreadable" if source == "message" else code
                self.errors.append(f"{kind}: {text}")
            case CallEnded():
                self.end = event
            case _:
                pass
        self._changed.set()

    def _note_reply(self, event: AgentReplyStarted | AgentReplyEnded) -> None:
        if isinstance(event, AgentReplyStarted):
            self.reply = Reply(event.reply_id, is_over=False)
        else:
            self.reply.is_over = True

    def _note_session(self, opened: SessionOpened) -> None:
        if opened.lost_seconds is None:
            self.ready_at = opened.at
        elif opened.is_resumed:
            self.resumes += 1
        else:
            self.fresh_starts += 1

    def _note_tool_end(self, ended: ToolEnded) -> None:
        record = self.calls[ended.call.call_id]
        if ended.outcome == "cancelled":
            record.is_cancelled = True
            return
        record.ended, record.result = ended.at, ended.text
        record.is_error = ended.outcome == "error"

    def _note_playback(self, event: PlaybackStarted | PlaybackStopped) -> None:
        last = self.interruptions[-1] if self.interruptions else None
        if isinstance(event, PlaybackStopped):
            if last and last.silent_at is None and not last.is_broken:
                # What is still in the buffer is the fade, once the speaker has the
                # order to stop; observers see the order just before the speaker does.
                asyncio.get_running_loop().call_soon(self._measure, last, event.at)
            return
        if last is not None and last.reply_id == event.reply_id:
            last.silent_at = None
            last.is_broken = True
        if self.reply.sounded_at is None:
            self.reply.sounded_at = event.at

    def _measure(self, interruption: Interruption, at: float) -> None:
        pending = 0.0 if self.speaker is None else self.speaker.pending_ms
        interruption.silent_at = at + pending / 1000
        self._changed.set()

    def _note_interruption(self, at: float) -> None:
        if self.reply.is_over and not (self.speaker and self.speaker.pending_ms > 0):
            return
        what: Literal["greeting", "reply", "tool"] = "reply"
        if any(call.is_running for call in self.calls.values()):
            what = "tool"
        elif not any(each.speaker == "caller" for each in self.said):
            what = "greeting"
        self.interruptions.append(Interruption(at, self.reply.reply_id, what))

    def _note_text(self, said: FinalTranscript) -> None:
        sounded_at = None
        if said.source == "announcement":
            sounded_at = said.at
        elif said.reply_id == self.reply.reply_id and said.speaker == "agent":
            sounded_at = self.reply.sounded_at
        self.said.append(
            Utterance(said.speaker, said.text, said.at, sounded_at, said.is_interrupted)
        )
