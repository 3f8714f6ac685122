"""From what an engine does to the moments of a call that are counted and timed.

Two hundred events and actions come a second, nearly all of them sound; a handful of
moments come out. All times are seconds on the engine's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.audio.pcm import is_louder
from runner.protocol.client.actions import (
    Action,
    CancelTool,
    Close,
    Connect,
    Play,
    RunTool,
    Send,
)
from runner.protocol.client.events import (
    Disconnected,
    Event,
    MicFrame,
    Received,
    Say,
    ToolFinished,
)
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    TranscriptAgent,
    TranscriptUser,
)
from runner.records import VOICE_DBFS, Record
from runner.telemetry.moments import (
    AnswerHeard,
    CallBegan,
    CallEnded,
    Interrupted,
    LineLost,
    Moment,
    SessionStood,
    Side,
    ToolBegan,
    ToolEnd,
    ToolEnded,
    TurnBegan,
    TurnEnded,
    Witness,
    WordsSaid,
)


@dataclass(slots=True)
class _Turn:
    """A turn that goes on; `has_reply` once the agent had its say in it."""

    number: int
    by: Side
    last: float
    has_reply: bool = False


class Observation:
    """An observer of the engine that tells witnesses; `record` observes before it."""

    def __init__(self, record: Record, witnesses: Sequence[Witness]) -> None:
        self._record = record
        self._witnesses = witnesses
        self._running: dict[str, tuple[str, float]] = {}  # tools, and since when
        self._turn: _Turn | None = None
        self._turns = 0
        self._decided_at: float | None = None  # while the answer is awaited
        self._waits = 0  # of the record's, that were told
        self._session_id: str | None = None  # None until one stood
        self._lost_at: float | None = None

    def observe(self, at: float, what: Event | Action) -> None:
        """Take note of an event or an action; what is most frequent comes first."""
        kind = type(what)
        if kind is MicFrame or kind is Send:
            return
        if isinstance(what, Play):
            if self._decided_at is not None and is_louder(what.pcm, VOICE_DBFS):
                self._note_answer(at, self._decided_at)
        elif isinstance(what, Received):
            if not isinstance(what.message, ReplyAudio):
                self._note_message(at, what.message)
        else:
            self._note_rare(at, what)

    def _note_rare(self, at: float, what: Event | Action) -> None:
        match what:
            case Connect() if self._session_id is None and self._lost_at is None:
                self._lost_at = at  # so that further tries are no further calls
                self._tell(at, CallBegan())
            case Disconnected(reason) if self._session_id is not None:
                self._lose_line(at, reason)
            case Say():
                self._begin_turn(at, "caller")
                self._decided_at = at
            case RunTool(call):
                self._running[call.call_id] = call.name, at
                self._tell(at, ToolBegan(call))
            case ToolFinished(call_id, text, is_error):
                self._end_tool(at, call_id, "error" if is_error else "ok", text)
            case CancelTool(call_id):
                self._end_tool(at, call_id, "cancelled")
            case Close():
                for call_id in list(self._running):
                    self._end_tool(at, call_id, "cancelled")
                self._end_turn()
                self._tell(at, CallEnded(what))
            case _:
                pass

    def _note_message(self, at: float, message: object) -> None:
        match message:
            case SessionReady(session_id):
                self._note_ready(at, session_id)
            case InputSpeechStarted():
                self._decided_at = None
                self._take_floor(at)
            case InputSpeechStopped():
                self._decided_at = at
            case ReplyStarted():
                if self._turn is None:
                    self._begin_turn(at, "agent")
                self._note_activity(at, has_reply=True)
            case ReplyDone(reply_id, status):
                self._note_activity(at)
                if status == "interrupted":
                    self._tell(at, Interrupted(reply_id))
            case TranscriptUser() | TranscriptAgent():
                self._note_words(at, message)
            case _:
                pass

    def _note_words(self, at: float, words: TranscriptUser | TranscriptAgent) -> None:
        if isinstance(words, TranscriptUser):
            self._tell(at, WordsSaid("caller", words.text))
            return
        self._note_activity(at)
        self._tell(at, WordsSaid("agent", words.text, words.interrupted))

    def _note_ready(self, at: float, session_id: str) -> None:
        if self._session_id is None:
            stood = SessionStood(session_id)
        else:
            gone = 0.0 if self._lost_at is None else at - self._lost_at
            stood = SessionStood(session_id, session_id == self._session_id, gone)
        self._session_id, self._lost_at = session_id, None
        self._tell(at, stood)

    def _lose_line(self, at: float, reason: str) -> None:
        if self._lost_at is None:  # else it is a try to get it back that failed
            self._lost_at = at
            self._tell(at, LineLost(reason))

    def _note_answer(self, at: float, decided_at: float) -> None:
        waits = self._record.waits
        since_voice = waits[-1] if len(waits) > self._waits else None
        self._decided_at, self._waits = None, len(waits)
        self._note_activity(at)
        self._tell(at, AnswerHeard(at - decided_at, since_voice))

    def _end_tool(
        self, at: float, call_id: str, outcome: ToolEnd, text: str = ""
    ) -> None:
        if call_id in self._running:  # one that was cancelled may still end by itself
            name, began = self._running.pop(call_id)
            self._note_activity(at)
            self._tell(at, ToolEnded(call_id, name, outcome, at - began, text))

    # ---------------------------------------------------------------------- turns

    def _take_floor(self, at: float) -> None:
        """Begin a turn of the caller's, unless he only goes on with one."""
        turn = self._turn
        if turn is None or turn.has_reply or turn.by == "agent":
            self._begin_turn(at, "caller")

    def _begin_turn(self, at: float, by: Side) -> None:
        self._end_turn()
        self._turns += 1
        self._turn = _Turn(self._turns, by, at)
        self._tell(at, TurnBegan(self._turns, by))

    def _note_activity(self, at: float, *, has_reply: bool = False) -> None:
        if self._turn is not None:
            self._turn.last = at
            self._turn.has_reply |= has_reply

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self._tell(turn.last, TurnEnded(turn.number, turn.by))

    def _tell(self, at: float, moment: Moment) -> None:
        for witness in self._witnesses:
            witness(at, moment)
