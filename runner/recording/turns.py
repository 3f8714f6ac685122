"""Who spoke when, and who was cut off, as the lines of a recording tell it.

The agent's sound is followed as a speaker plays it: what is handed over before the
last of it was played waits. Sound is counted in lines of a tenth of a second at most,
and so its times are right within that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from runner.audio.playback import CUSHION_MS, FADE_MS
from runner.protocol.client.actions import Announce, StopPlayback
from runner.protocol.client.events import (
    Event,
    PlaybackCut,
    Received,
    Say,
)
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyDone,
    ReplyStarted,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)
from runner.recording.lines import Entry, Sound

BYTES_A_SECOND = 48_000  # 24 kHz, 16 bits, mono: the only encoding that is asked for


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the agent's, in seconds of the call."""

    start: float
    end: float
    text: str


@dataclass(slots=True)
class CallerTurn:
    """What the caller said: from the decision that he speaks to that he stopped."""

    start: float
    end: float | None = None  # None while he speaks
    text: str = ""
    is_final: bool = False  # whether its transcript came
    typed: bool = False


@dataclass(slots=True)
class Reply:
    """A reply of the agent's; `start` and `end` are of its sound."""

    reply_id: str
    began: float  # reply.started
    start: float | None = None  # None: nothing of it was played
    end: float = 0.0
    text: str = ""
    words: list[tuple[float, float, str]] = field(default_factory=list)
    interrupted: bool = False
    cut: float = 0.0  # seconds of its sound that were thrown away
    heard: float | None = None  # seconds of its sound that the device got, where known
    is_open: bool = True

    def said(self) -> str:
        """Return its words; where no transcript came, as far as they were heard."""
        if self.text:
            return self.text
        return " ".join(word.strip() for _, _, word in self.words).strip()

    def timed_words(self) -> tuple[Word, ...]:
        """Return the words with times that were heard, in their order."""
        if self.start is None:
            return ()
        heard: list[Word] = []
        for from_start, to_start, text in self.words:
            start, end = self.start + from_start, self.start + to_start
            if start < self.end and end >= start and text.strip():
                heard.append(Word(start, min(end, self.end), text.strip()))
        return tuple(sorted(heard, key=lambda word: word.start))


@dataclass(frozen=True, slots=True)
class CutOff:
    """The agent was interrupted: decided at `at`, by this, with so much unplayed."""

    at: float
    by: Literal["voice", "text", "service"]
    reply: Reply | None
    cut: float


class Speech:
    """Follows the entries of a call; then has its turns."""

    def __init__(self) -> None:
        self.caller: list[CallerTurn] = []
        self.replies: list[Reply] = []
        self.cut_offs: list[CutOff] = []
        self._by_id: dict[str, Reply] = {}
        self._plays_until = 0.0
        self._cause: Event | None = None

    def note(self, at: float, what: Entry) -> None:
        """Take in an entry; times do not go back."""
        if isinstance(what, Event):
            self._cause = what  # what the actions that come next follow from
        match what:
            case Sound():
                self._play(at, what)
            case StopPlayback():
                self._stop(at)
            case Received(message):
                self._receive(at, message)
            case PlaybackCut():
                self._know(what)
            case Announce(text):
                # No message tells of it: its sound comes next, without a reply's id.
                own = self._begin(at, f"announcement {len(self.replies)}")
                own.text, own.is_open = text, False
            case Say(text):
                self.caller.append(CallerTurn(at, at, text, typed=True))
            case _:
                pass

    def _know(self, cut: PlaybackCut) -> None:
        """Put what the device said in place of what was reckoned."""
        reply = self._by_id.get(cut.reply_id)
        if reply is None or reply.start is None:
            return
        reply.heard, reply.cut = cut.played_ms / 1000, cut.dropped_ms / 1000
        reply.end = reply.start + reply.heard

    def _receive(self, at: float, message: object) -> None:
        match message:
            case InputSpeechStarted():
                if self._speaking is None:
                    self.caller.append(CallerTurn(at))
            case InputSpeechStopped():
                if self._speaking is not None:
                    self._speaking.end = at
            case TranscriptUserDelta(text=text):
                if self._speaking is not None:
                    self._speaking.text = text
            case TranscriptUser(text=text):
                self._hear_caller(at, text)
            case _:
                self._receive_reply(at, message)

    def _receive_reply(self, at: float, message: object) -> None:
        match message:
            case ReplyStarted(reply_id=reply_id):
                self._begin(at, reply_id)
            case TranscriptAgentDelta(delta=delta, reply_id=reply_id):
                start, end = message.start_ms, message.end_ms
                reply = self._reply(at, reply_id)
                if start is not None and end is not None:
                    reply.words.append((start / 1000, end / 1000, delta))
                else:
                    reply.words.append((0.0, -1.0, delta))  # without a time
            case TranscriptAgent(text=text, reply_id=reply_id, interrupted=interrupted):
                reply = self._reply(at, reply_id)
                reply.text = text
                reply.interrupted |= interrupted
            case ReplyDone(reply_id=reply_id, status=status):
                self._end_reply(at, reply_id, status)
            case _:
                pass

    @property
    def _speaking(self) -> CallerTurn | None:
        last = self.caller[-1] if self.caller else None
        return last if last is not None and last.end is None else None

    def _hear_caller(self, at: float, text: str) -> None:
        waiting = (turn for turn in self.caller if not (turn.is_final or turn.typed))
        turn = next(waiting, None)
        if turn is None:
            last = self.caller[-1] if self.caller else None
            if last is not None and last.typed and last.text.strip() == text.strip():
                return  # what was typed comes back
            turn = CallerTurn(at, at)
            self.caller.append(turn)
        turn.text, turn.is_final = text, True

    def _begin(self, at: float, reply_id: str) -> Reply:
        reply = Reply(reply_id, at)
        self.replies.append(reply)
        self._by_id[reply_id] = reply
        return reply

    def _reply(self, at: float, reply_id: str) -> Reply:
        """Return a reply by its id; one that never began, as if it had now."""
        if not reply_id and self.replies:
            return self.replies[-1]
        return self._by_id.get(reply_id) or self._begin(at, reply_id)

    def _end_reply(self, at: float, reply_id: str, status: str) -> None:
        reply = self._reply(at, reply_id)
        reply.is_open = False
        if status != "interrupted":
            return
        reply.interrupted = True
        if not any(each.reply is reply for each in self.cut_offs):
            self.cut_offs.append(CutOff(at, "service", reply, 0.0))

    def _play(self, at: float, sound: Sound) -> None:
        if not sound.played:
            return
        reply = self._reply(at, sound.reply_id)
        if self._plays_until <= at:  # a speaker that starts afresh waits a moment
            self._plays_until = at + CUSHION_MS / 1000
        if reply.start is None:
            reply.start = self._plays_until
        self._plays_until += sound.played / BYTES_A_SECOND
        reply.end = max(reply.end, self._plays_until)

    def _stop(self, at: float) -> None:
        cut = max(0.0, self._plays_until - at)
        silent = at + FADE_MS / 1000 if cut else at
        reply = self._cut_replies(silent)
        is_heard = reply is not None and reply.is_open and reply.start is not None
        by = self._stopped_by()
        if by is not None and (cut or is_heard):
            self.cut_offs.append(CutOff(at, by, reply, cut))
            if reply is not None:
                reply.interrupted = True
        self._plays_until = min(self._plays_until, silent)

    def _cut_replies(self, silent: float) -> Reply | None:
        """End the sound of every reply here; return the one that was being heard."""
        heard: Reply | None = None
        for reply in reversed(self.replies):
            if reply.start is None:
                continue
            if reply.end <= silent:
                return heard or (reply if reply.is_open else None)
            if reply.start >= silent:  # its first sound was still waiting
                reply.cut += reply.end - reply.start
                reply.start = None
                continue
            reply.cut += reply.end - silent
            reply.end = silent
            heard = heard or reply
        return heard

    def _stopped_by(self) -> Literal["voice", "text", "service"] | None:
        match self._cause:
            case Received(InputSpeechStarted()):
                return "voice"
            case Say():
                return "text"
            case Received(ReplyDone(status="interrupted")):
                return "service"
            case _:
                return None
