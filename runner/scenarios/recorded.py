"""A recorded call as a scenario: who said and did what, as turns that ask for it again.

What cannot be known is which of it matters: remarks say where a person should loosen
an expectation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.protocol.client.actions import CancelTool, Close, RunTool, Send
from runner.protocol.client.events import (
    Disconnected,
    HangUp,
    Received,
    Reconfigure,
    Say,
    ToolFinished,
)
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyCreate,
    ReplyDone,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionReady,
    SessionResume,
    ToolCall,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
)
from runner.recording.header import Header
from runner.recording.lines import Entry, Sound
from runner.scenarios.model import (
    AgentTurn,
    CallTurn,
    EndTurn,
    ExpectTurn,
    LineTurn,
    Party,
    Place,
    Turn,
    UserTurn,
    WaitTurn,
    read_pattern,
)

_BYTES_A_SECOND = 48_000  # 24 kHz, 16 bits, mono
_SOONEST_SECONDS = 0.1
# Speech is not much faster: an interruption must find the agent still speaking.
_SECONDS_A_WORD = 0.2
# Shorter pauses are nobody's silence; and the end may keep one waiting for so long.
_SILENCE_SECONDS = 1.0
_END_SECONDS = 30.0
_DICTATED = "Say exactly"  # such a reply needs no mind; see `remarks.verbatim`


@dataclass(slots=True)
class Reply:
    """One reply of the agent's: what it said and asked for, and what cut it off.

    `is_thought` is false where the words were given: the greeting, an announcement.
    """

    reply_id: str = ""
    is_thought: bool = True
    words: str = ""
    pieces: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    sounded_at: float | None = None
    sounds_until: float = 0.0
    is_over: bool = False

    @property
    def says(self) -> str:
        """All that it was going to say, as far as that is known."""
        return max(self.words, self.pieces, key=len).strip()

    def note(self, message: object) -> None:
        """Take note of what belongs to it."""
        match message:
            case TranscriptAgentDelta(delta):
                self.pieces += delta
            case TranscriptAgent(text):
                self.words = text
            case ToolCall():
                self.calls.append(message)
            case ReplyDone():
                self.is_over = True
            case _:
                pass


@dataclass(slots=True)
class Run:
    """One run of a tool; `text` is None where it came to nothing."""

    call: ToolCall
    began: float
    seconds: float = 0.0
    text: str | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Remarked:
    """A turn, and what a person should know about it."""

    turn: Turn
    remark: str | None = None


class Account:
    """What happened in a call, read line by line; `part_of` names words by a part."""

    def __init__(
        self, header: Header, place: Place, part_of: Callable[[str], str]
    ) -> None:
        self.turns: list[Remarked] = []
        self.replies: list[Reply] = []
        self.runs: dict[str, Run] = {}
        self.lacks: dict[str, None] = {}  # what no turn can say, in order
        self._header = header
        self._place = place
        self._part_of = part_of
        self._line = _Line()
        self._last_at = 0.0  # when the last turn was
        self._cut: float | None = None  # how much was heard of what is interrupted

    def read(self, entries: list[tuple[float, Entry]]) -> None:
        """Take in a whole call."""
        for at, entry in entries:
            match entry:
                case Sound():
                    self._hear(at, entry)
                case Received(message):
                    self._receive(at, message)
                case Say(text):
                    self._note_cut(at)
                    self._speak(at, text)
                case RunTool(call):
                    self._run(at, call)
                case ToolFinished(call_id, text, is_error) if call_id in self.runs:
                    run = self.runs[call_id]
                    run.seconds, run.text = at - run.began, text
                    run.is_error = is_error
                case CancelTool(call_id) if call_id in self.runs:
                    run = self.runs[call_id]
                    run.seconds = at - run.began
                case Reconfigure():
                    self.lacks["the agent was changed during the call"] = None
                case _:
                    self._line_changes(at, entry)

    # ------------------------------------------------------------------ what was said

    @property
    def _reply(self) -> Reply | None:
        return self.replies[-1] if self.replies else None

    def _hear(self, at: float, sound: Sound) -> None:
        reply = self._reply
        if reply is None or not sound.played:
            return
        if reply.sounded_at is None:
            reply.sounded_at = reply.sounds_until = at
        length = sound.played / _BYTES_A_SECOND
        reply.sounds_until = max(reply.sounds_until, at) + length

    def _receive(self, at: float, message: object) -> None:
        if self._reply is not None:
            self._reply.note(message)
        match message:
            case ReplyStarted(reply_id):
                self.replies.append(Reply(reply_id, self._is_thought()))
                self._line.was_dictated = False
            case TranscriptAgent(text, interrupted=False) if text.strip():
                self._answer(at, text)
            case InputSpeechStarted():
                self._note_cut(at)
            case TranscriptUser(text) if text.strip():
                self._speak(at, text)
            case SessionReady():
                self._come_back(at)
            case SessionEnded():
                self._line.service_ended = not self._line.said_goodbye
            case _:
                pass

    def _is_thought(self) -> bool:
        is_greeting = bool(self._header.config.session.get("greeting"))
        return not self._line.was_dictated and (bool(self.replies) or not is_greeting)

    def _note_cut(self, at: float) -> None:
        reply, self._cut = self._reply, None
        if reply is None or reply.sounded_at is None:
            return
        if at < reply.sounds_until or not reply.is_over:
            self._cut = at - reply.sounded_at

    def _speak(self, at: float, words: str) -> None:
        heard, self._cut = self._cut, None
        if heard is None:
            self._add(at, UserTurn(self._place, words))
            return
        if self.turns and isinstance(self.turns[-1].turn, AgentTurn):
            self.turns.pop()  # it had said all, and was still heard
        session = self._header.config.session
        detection = session.get("input", {}).get("turn_detection", {})
        heard -= detection.get("interruption_delay", 0) / 1000
        reply = self._reply
        length = len(reply.says.split()) * _SECONDS_A_WORD if reply else heard
        after = max(_SOONEST_SECONDS, round(min(heard, length), 1))
        turn = UserTurn(self._place, words, after)
        self._add(at, turn, "into the agent's words, as then")

    def _answer(self, at: float, text: str) -> None:
        part = self._part_of(text)
        remark = None if len(part) == len(text.strip()) else f"of: {text.strip()}"
        self._add(at, AgentTurn(self._place, (read_pattern(part),)), remark)

    def _wait(self, until: float) -> None:
        """Nobody spoke, and that was why the agent did, or the call ended."""
        seconds = round(until - self._last_at, 1)
        if seconds >= _SILENCE_SECONDS:
            self._add(until, WaitTurn(self._place, seconds), "nobody spoke")

    def _add(self, at: float, turn: Turn, remark: str | None = None) -> None:
        self.turns.append(Remarked(turn, remark))
        self._last_at = at

    # --------------------------------------------------------------- tools and the line

    def _run(self, at: float, call: ToolCall) -> None:
        self.runs[call.call_id] = Run(call, at)
        rules = self._header.config.tools.get(call.name)
        if rules is not None and rules.terminal:
            return  # who ends the call is said at the end
        turn = CallTurn(self._place, call.name, dict(call.arguments))
        remark = "all arguments; `matching:` takes a schema" if call.arguments else None
        self._add(at, turn, remark)

    def _line_changes(self, at: float, entry: object) -> None:
        line = self._line
        match entry:
            case Disconnected(reason) if line.is_live and line.close is None:
                line.is_live, line.lost_at, line.reason = False, at, reason
            case Send(SessionResume()):
                line.is_resuming = True
            case Send(ReplyCreate(instructions)):
                line.was_dictated = (instructions or "").startswith(_DICTATED)
                self._wait(at)
            case Send(SessionEnd()):
                line.said_goodbye = True
            case HangUp():
                line.hung_up = True
            case Close():
                line.close = entry
                if not line.hung_up and at - self._last_at > _END_SECONDS:
                    self._wait(at - _END_SECONDS)
            case _:
                pass

    def _come_back(self, at: float) -> None:
        line = self._line
        line.is_live = True
        if line.lost_at is not None:
            drops = max(_SOONEST_SECONDS, round(at - line.lost_at, 1))
            self._add(at, LineTurn(self._place, drops), line.reason)
            if line.is_resuming:
                self._add(at, ExpectTurn(self._place, resumed=True))
        line.lost_at, line.is_resuming = None, False

    def end(self) -> Remarked | None:
        """Return the last turn; None where the recording has no end."""
        line = self._line
        if line.close is None:
            return None
        by: Party = "service" if line.service_ended else "agent"
        by = "caller" if line.hung_up else by
        return Remarked(EndTurn(self._place, by), line.close.reason)


@dataclass(slots=True)
class _Line:
    """What became of the connections, and how the call ended."""

    is_live: bool = False
    lost_at: float | None = None
    reason: str = ""
    is_resuming: bool = False
    was_dictated: bool = False
    said_goodbye: bool = False
    service_ended: bool = False
    hung_up: bool = False
    close: Close | None = None


def told(text: str | None) -> Any:
    """Return a tool's result as a value; text that is no JSON as it is."""
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return text


def calls_of(reply: Reply) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tools that a reply asked for, with their arguments."""
    for call in reply.calls:
        yield call.name, dict(call.arguments)
