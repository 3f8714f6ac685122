"""A recorded call as a scenario: who said and did what, as turns that ask for it again.

What cannot be known is which of it matters: remarks say where a person should loosen
an expectation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.protocol.client.actions import (
    Announce,
    CancelTool,
    Close,
    RunTool,
    Send,
)
from runner.protocol.client.events import (
    Disconnected,
    HangUp,
    Received,
    Reconfigure,
    Say,
    ToolFinished,
)
from runner.protocol.dictation import dictated
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyCreate,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionReady,
    SessionResume,
    ToolCall,
    TranscriptAgent,
    TranscriptUser,
)
from runner.recording.header import Header
from runner.recording.lines import Entry, Sound
from runner.scenarios.model import (
    AgentTurn,
    ConnectionTurn,
    EndTurn,
    ExpectTurn,
    Party,
    Place,
    ToolCallTurn,
    Turn,
    UserTurn,
    WaitTurn,
    read_pattern,
)
from runner.scenarios.replies import Reply, Run

_BYTES_A_SECOND = 48_000  # 24 kHz, 16 bits, mono
_SOONEST_SECONDS = 0.1
# How long services listen by default before words are an interruption.
_DECISION_MS = 500
# Speech is not much faster: an interruption must find the agent still speaking.
_SECONDS_A_WORD = 0.2
# Shorter pauses are nobody's silence; and the end may keep one waiting for so long.
_SILENCE_SECONDS = 1.0
_END_SECONDS = 30.0


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
        self._now = _State()

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
                case Announce(text):
                    self._answer(at, text)
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
                self._now.was_dictated = False
            case TranscriptAgent(text, interrupted=False) if text.strip():
                self._answer(at, text)
            case InputSpeechStarted():
                self._note_cut(at)
            case TranscriptUser(text) if text.strip():
                self._speak(at, text)
            case SessionReady():
                self._come_back(at)
            case SessionEnded():
                self._now.service_ended = not self._now.said_goodbye
            case _:
                pass

    @property
    def _announcements(self) -> set[str]:
        rules = self._header.config.tools.values()
        return {each.announce for each in rules if each.announce is not None}

    def _is_thought(self) -> bool:
        is_greeting = bool(self._header.config.session.get("greeting"))
        return not self._now.was_dictated and (bool(self.replies) or not is_greeting)

    def _note_cut(self, at: float) -> None:
        reply, self._now.cut = self._reply, None
        if reply is None or reply.sounded_at is None:
            return
        if at < reply.sounds_until or not reply.is_over:
            self._now.cut = at - reply.sounded_at

    def _speak(self, at: float, words: str) -> None:
        heard, self._now.cut = self._now.cut, None
        if heard is None:
            self._add(at, UserTurn(self._place, words))
            return
        if self.turns and isinstance(self.turns[-1].turn, AgentTurn):
            self.turns.pop()  # it had said all, and was still heard
        session = self._header.config.session
        detection = session.get("input", {}).get("turn_detection", {})
        heard -= detection.get("interruption_delay", _DECISION_MS) / 1000
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
        seconds = round(until - self._now.last_at, 1)
        if seconds >= _SILENCE_SECONDS:
            self._add(until, WaitTurn(self._place, seconds), "nobody spoke")

    def _add(self, at: float, turn: Turn, remark: str | None = None) -> None:
        self.turns.append(Remarked(turn, remark))
        self._now.last_at = at

    # --------------------------------------------------------------- tools and the line

    def _run(self, at: float, call: ToolCall) -> None:
        self.runs[call.call_id] = Run(call, at)
        rules = self._header.config.tools.get(call.name)
        if rules is not None and rules.terminal:
            return  # who ends the call is said at the end
        turn = ToolCallTurn(self._place, call.name, dict(call.arguments))
        remark = "all arguments; `matching:` takes a schema" if call.arguments else None
        self._add(at, turn, remark)

    def _line_changes(self, at: float, entry: object) -> None:
        now = self._now
        match entry:
            case Disconnected(reason) if now.is_live and now.close is None:
                now.is_live, now.lost_at, now.reason = False, at, reason
                if self._reply is not None and not self._reply.is_over:
                    self.lacks["the line was lost in the middle of a reply"] = None
            case Send(SessionResume()):
                now.is_resuming = True
            case Send(ReplyCreate(instructions)):
                words = dictated(instructions)
                now.was_dictated = words is not None
                if words not in self._announcements:
                    self._wait(at)
            case Send(SessionEnd()):
                now.said_goodbye = True
            case HangUp():
                now.hung_up = True
            case Close():
                now.close = entry
                if not now.hung_up and at - self._now.last_at > _END_SECONDS:
                    self._wait(at - _END_SECONDS)
            case _:
                pass

    def _come_back(self, at: float) -> None:
        now = self._now
        now.is_live = True
        if now.lost_at is not None:
            drops = max(_SOONEST_SECONDS, round(at - now.lost_at, 1))
            self._add(at, ConnectionTurn(self._place, drops), now.reason)
            if now.is_resuming:
                self._add(at, ExpectTurn(self._place, resumed=True))
        now.lost_at, now.is_resuming = None, False

    def end(self) -> Remarked | None:
        """Return the last turn; None where the recording has no end."""
        now = self._now
        if now.close is None:
            return None
        by: Party = "service" if now.service_ended else "agent"
        by = "caller" if now.hung_up else by
        return Remarked(EndTurn(self._place, by), now.close.reason)


@dataclass(slots=True)
class _State:
    """How things stand: the line, the last turn, and how the call ended.

    `cut` is how many seconds were heard of what the caller interrupts.
    """

    last_at: float = 0.0
    cut: float | None = None
    is_live: bool = False
    lost_at: float | None = None
    reason: str = ""
    is_resuming: bool = False
    was_dictated: bool = False
    said_goodbye: bool = False
    service_ended: bool = False
    hung_up: bool = False
    close: Close | None = None
