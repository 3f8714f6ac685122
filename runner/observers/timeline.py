"""The timeline of a recorded call: turns, latencies, tools, interruptions and losses.

Times are seconds since the start of the call. With recorded audio, speech starts and
ends where it is audible; without it, where the messages say, which for the caller is
the decision of the service. Agent audio is timed as a speaker plays it: each piece
after the previous one. A recording entry sums up at most 0.1 s of audio, which limits
the accuracy of audio times.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from runner.audio.devices import BYTES_PER_SECOND
from runner.audio.playback import CUSHION_MS, FADE_MS
from runner.observers.events import (
    AgentReplyEnded,
    AgentReplyStarted,
    CallEnded,
    CallerSpeechStarted,
    CallerSpeechStopped,
    CallEvent,
    CallInterpreter,
    Cause,
    ConnectionLost,
    ErrorReported,
    FinalTranscript,
    NoticeGiven,
    PartialTranscript,
    PlaybackStopped,
    PlaybackTruncated,
    SessionOpened,
    ToolEnded,
    ToolRequested,
    ToolResultSent,
    ToolStarted,
)
from runner.protocol.client.events import Disconnected, Received
from runner.protocol.messages import InputAudio, ToolCall, Unknown
from runner.recording.format import AudioSummary, Entry

if TYPE_CHECKING:
    from runner.recording.audio_tracks import Voices

# The delays of a service in detecting the start and the end of speech, in seconds;
# longer than any known service takes.
_MAX_START_DELAY_SECONDS = 2.5
_MAX_STOP_DELAY_SECONDS = 4.0
# Audio after an interruption is searched for this long.
_MAX_SILENCE_DELAY_SECONDS = 2.0

ToolState: TypeAlias = Literal["done", "failed", "cancelled", "running", "refused"]
_STATES: Mapping[str, ToolState] = {
    "ok": "done",
    "error": "failed",
    "cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the agent; times are seconds of the call."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The text and times of one utterance; `words` if their times are known.

    `interrupted` applies to the agent, `typed` to the caller; typed text takes no time.
    `silent` text came without audio: typed, or passed as text by a scripted caller.
    """

    speaker: Literal["caller", "agent"]
    start: float
    end: float
    text: str
    interrupted: bool = False
    typed: bool = False
    silent: bool = False
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Latency:
    """The wait from the caller's last audible audio to the first of the answer.

    `decided` is when the service considered the turn complete. `turn` is the index of
    the answer in the list of turns.
    """

    at: float
    seconds: float
    decided: float
    turn: int


@dataclass(frozen=True, slots=True)
class Interruption:
    """An interruption of the agent at `at`; it falls silent `seconds` later.

    `cut` is the seconds of audio that were discarded, `heard` the seconds of the reply
    that were played, None if the device did not report it.
    """

    at: float
    seconds: float
    by: Literal["voice", "text", "service"]
    cut: float
    heard: float | None = None


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One tool call, requested at `at`, with its arguments and its result.

    `seconds` is None if it never ran or still ran when the recording ended. `answered`
    is when its result was sent to the service, None if it was not.
    """

    at: float
    call_id: str
    name: str
    arguments: Mapping[str, Any]
    state: ToolState
    seconds: float | None = None
    result: Any = None
    answered: float | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A lost connection; `until` is when a session was ready again, None if never.

    `resumed` is True if that was the same session.
    """

    at: float
    reason: str
    until: float | None = None
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """An error or a notice during the call."""

    at: float
    kind: Literal["error", "notice"]
    text: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a call."""

    at: float
    outcome: str
    reason: str


@dataclass(slots=True)
class Losses:
    """Data that was dropped or ignored: seconds of audio and counts of messages."""

    microphone_unsent: float = 0.0  # recorded and not sent
    agent_ignored: float = 0.0  # received after the reply ended
    agent_cleared: float = 0.0  # discarded by an interruption
    messages_unsent: int = 0  # lost with the connection, without audio
    messages_garbled: int = 0
    messages_unknown: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class TimeLine:
    """A whole call. Lists are in order of time."""

    seconds: float
    turns: tuple[Turn, ...]
    tools: tuple[ToolRun, ...]
    latencies: tuple[Latency, ...]
    interruptions: tuple[Interruption, ...]
    drops: tuple[Drop, ...]
    remarks: tuple[Remark, ...]
    losses: Losses
    ending: Ending | None  # None if the recording ends before the call
    is_heard: bool  # True if speech times come from recorded audio

    def talked(self, speaker: Literal["caller", "agent"]) -> float:
        """Returns the total speaking time of one side in seconds."""
        total, until = 0.0, 0.0
        for turn in self.turns:  # in order of their starts
            if turn.speaker == speaker:
                total += max(0.0, turn.end - max(turn.start, until))
                until = max(until, turn.end)
        return total

    @property
    def median_latency(self) -> float | None:
        """The median latency in seconds; None without any."""
        return (
            median(each.seconds for each in self.latencies) if self.latencies else None
        )


@dataclass(slots=True)
class CallerTurn:
    """A caller turn, from detected start of speech to detected end."""

    start: float
    end: float | None = None  # None during speech
    text: str = ""
    is_final: bool = False  # True once its final transcript arrived
    typed: bool = False


@dataclass(slots=True)
class Reply:
    """A reply of the agent; `start` and `end` are the times of its audio."""

    reply_id: str
    began: float  # reply.started
    start: float | None = None  # None if none of it was played
    end: float = 0.0
    text: str = ""
    words: list[tuple[float, float, str]] = field(default_factory=list)
    interrupted: bool = False
    cut: float = 0.0  # seconds of its audio that were discarded
    heard: float | None = None  # seconds that the device played, if reported
    is_open: bool = True

    def transcript(self) -> str:
        """Returns its transcript; without one, the words received so far."""
        if self.text:
            return self.text
        return " ".join(word.strip() for _, _, word in self.words).strip()

    def timed_words(self) -> tuple[Word, ...]:
        """Returns the words that have times and were played, in order."""
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
    """An interruption at `at`; `cut` is the seconds of audio not yet played."""

    at: float
    by: Literal["voice", "text", "service"]
    reply: Reply | None
    cut: float


class _Speech:
    """Collects the turns of a call from its events and audio."""

    def __init__(self) -> None:
        self.caller: list[CallerTurn] = []
        self.replies: list[Reply] = []
        self.cut_offs: list[CutOff] = []
        self._by_id: dict[str, Reply] = {}
        self._plays_until = 0.0

    def note(self, event: CallEvent) -> None:
        """Processes an event; times never decrease."""
        match event:
            case CallerSpeechStarted() | CallerSpeechStopped():
                self._note_caller_speech(event)
            case PartialTranscript():
                self._note_part(event)
            case FinalTranscript(speaker="caller"):
                self._note_caller_text(event)
            case FinalTranscript():
                self._note_agent_text(event)
            case AgentReplyStarted(at, reply_id):
                self._begin(at, reply_id)
            case AgentReplyEnded(at, reply_id, is_interrupted):
                self._end_reply(at, reply_id, is_interrupted)
            case PlaybackStopped(at, cause):
                self._stop(at, cause)
            case PlaybackTruncated():
                self._correct(event)
            case _:
                pass

    @property
    def _speaking(self) -> CallerTurn | None:
        last = self.caller[-1] if self.caller else None
        return last if last is not None and last.end is None else None

    def _note_caller_speech(
        self, event: CallerSpeechStarted | CallerSpeechStopped
    ) -> None:
        if isinstance(event, CallerSpeechStarted):
            if self._speaking is None:
                self.caller.append(CallerTurn(event.at))
        elif self._speaking is not None:
            self._speaking.end = event.at

    def _note_part(self, part: PartialTranscript) -> None:
        if part.speaker == "caller":
            if self._speaking is not None:
                self._speaking.text = part.text
            return
        start, end = part.start_ms, part.end_ms
        times = (0.0, -1.0)  # of a word without any
        if start is not None and end is not None:
            times = start / 1000, end / 1000
        self._reply(part.at, part.reply_id).words.append((*times, part.text))

    def _note_caller_text(self, final: FinalTranscript) -> None:
        typed = final.source == "typed"
        waiting = (turn for turn in self.caller if not (turn.is_final or turn.typed))
        turn = None if typed else next(waiting, None)
        if turn is None:
            turn = CallerTurn(final.at, final.at, typed=typed)
            self.caller.append(turn)
        turn.text, turn.is_final = final.text, True

    def _note_agent_text(self, final: FinalTranscript) -> None:
        if final.source == "announcement":
            # The service does not know of it: its audio has no reply id.
            reply = self._begin(final.at, final.reply_id)
            reply.text, reply.is_open = final.text, False
            return
        reply = self._reply(final.at, final.reply_id)
        reply.text = final.text
        reply.interrupted |= final.is_interrupted

    def _correct(self, cut: PlaybackTruncated) -> None:
        """Replaces the estimate by the count of the device."""
        reply = self._by_id.get(cut.reply_id)
        if reply is None or reply.start is None:
            return
        reply.heard, reply.cut = cut.played_seconds, cut.dropped_seconds
        reply.end = reply.start + reply.heard

    def _begin(self, at: float, reply_id: str) -> Reply:
        reply = Reply(reply_id, at)
        self.replies.append(reply)
        self._by_id[reply_id] = reply
        return reply

    def _reply(self, at: float, reply_id: str) -> Reply:
        """Returns a reply by its id; an unknown one is added, starting now."""
        if not reply_id and self.replies:
            return self.replies[-1]
        return self._by_id.get(reply_id) or self._begin(at, reply_id)

    def _end_reply(self, at: float, reply_id: str, is_interrupted: bool) -> None:
        reply = self._reply(at, reply_id)
        reply.is_open = False
        if not is_interrupted:
            return
        reply.interrupted = True
        if not any(each.reply is reply for each in self.cut_offs):
            self.cut_offs.append(CutOff(at, "service", reply, 0.0))

    def play(self, at: float, audio: AudioSummary) -> None:
        """Processes audio that is passed to the speaker."""
        if not audio.played:
            return
        reply = self._reply(at, audio.reply_id)
        if self._plays_until <= at:  # an idle speaker buffers before it starts
            self._plays_until = at + CUSHION_MS / 1000
        if reply.start is None:
            reply.start = self._plays_until
        self._plays_until += audio.played / BYTES_PER_SECOND
        reply.end = max(reply.end, self._plays_until)

    def _stop(self, at: float, by: Cause | None) -> None:
        cut = max(0.0, self._plays_until - at)
        silent = at + FADE_MS / 1000 if cut else at
        reply = self._cut_replies(silent)
        is_heard = reply is not None and reply.is_open and reply.start is not None
        if by is not None and (cut or is_heard):
            self.cut_offs.append(CutOff(at, by, reply, cut))
            if reply is not None:
                reply.interrupted = True
        self._plays_until = min(self._plays_until, silent)

    def _cut_replies(self, silent: float) -> Reply | None:
        """Ends the audio of all replies at `silent`; returns the one being played."""
        heard: Reply | None = None
        for reply in reversed(self.replies):
            if reply.start is None:
                continue
            if reply.end <= silent:
                return heard or (reply if reply.is_open else None)
            if reply.start >= silent:  # its first audio was still queued
                reply.cut += reply.end - reply.start
                reply.start = None
                continue
            reply.cut += reply.end - silent
            reply.end = silent
            heard = heard or reply
        return heard


class _Tools:
    """Collects the tool calls of a call from its events."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[float, ToolCall]] = {}
        self._ran: set[str] = set()
        self._ended: dict[str, ToolEnded] = {}
        self._answered: dict[str, float] = {}

    def note(self, event: CallEvent) -> None:
        """Processes an event."""
        match event:
            case ToolRequested(at, call):
                self._asked.setdefault(call.call_id, (at, call))
            case ToolStarted(at, call):
                self._asked.setdefault(call.call_id, (at, call))
                self._ran.add(call.call_id)
            case ToolEnded():
                self._ended[event.call.call_id] = event
            case ToolResultSent(at, call_id):
                self._answered.setdefault(call_id, at)
            case _:
                pass

    def list(self) -> tuple[ToolRun, ...]:
        """Returns the tool calls in order of request."""
        return tuple(self._run(at, call) for at, call in self._asked.values())

    def _run(self, at: float, call: ToolCall) -> ToolRun:
        call_id, name, arguments = call.call_id, call.name, call.arguments
        ended, answered = self._ended.get(call_id), self._answered.get(call_id)
        if ended is None:
            state: ToolState = "running" if call_id in self._ran else "refused"
            return ToolRun(at, call_id, name, arguments, state, answered=answered)
        return ToolRun(
            round(ended.at - ended.seconds, 6),
            call_id,
            name,
            arguments,
            _STATES[ended.outcome],
            round(ended.seconds, 6),
            None if ended.outcome == "cancelled" else _value(ended.text),
            answered,
        )


class _Incidents:
    """Collects the drops, losses, remarks and the end of a call."""

    def __init__(self) -> None:
        self.drops: list[Drop] = []
        self.remarks: list[Remark] = []
        self.losses = Losses()
        self.ending: Ending | None = None
        self._balance = 0  # recorded bytes that were not sent

    def note(self, event: CallEvent) -> None:
        """Processes an event."""
        match event:
            case ConnectionLost(at, reason):
                self.drops.append(Drop(at, reason))
            case SessionOpened(at) if self.drops and self.drops[-1].until is None:
                last = self.drops[-1]
                self.drops[-1] = Drop(last.at, last.reason, at, event.is_resumed)
            case ErrorReported(source="message"):
                self.losses.messages_garbled += 1
            case ErrorReported(at, _, code, text):
                self.remarks.append(Remark(at, "error", f"{code}: {text}"))
            case NoticeGiven(at, text) if text:
                self.remarks.append(Remark(at, "notice", text))
            case CallEnded(at, close):
                self.ending = Ending(at, close.outcome.value, close.reason)
            case _:
                pass

    def count(self, what: Entry) -> None:
        """Counts the losses that an entry reports."""
        losses = self.losses
        match what:
            case AudioSummary():
                self._balance += what.mic - what.sent
                losses.microphone_unsent = max(0, self._balance) / BYTES_PER_SECOND
                ignored = max(0, what.received - what.played)
                losses.agent_ignored += ignored / BYTES_PER_SECOND
            case Disconnected(unsent=unsent):
                losses.messages_unsent += sum(
                    not isinstance(each, InputAudio) for each in unsent
                )
            case Received(Unknown()):
                losses.messages_unknown += 1
            case _:
                pass


def trace(
    entries: Sequence[tuple[float, Entry]], voices: Voices | None = None
) -> TimeLine:
    """Returns the timeline of a recording's entries.

    A time that is earlier than the previous one is replaced by the previous one.
    """
    speech, tools, incidents = _Speech(), _Tools(), _Incidents()
    interpreter = CallInterpreter(speech.note, tools.note, incidents.note)
    now = last = 0.0
    for at, what in entries:
        now = at = max(now, at)
        last = max(last, at)
        interpreter.observe(at, what)
        incidents.count(what)
        if isinstance(what, AudioSummary):
            speech.play(at, what)
            last = max(last, what.until)
    if voices is not None:
        last = max(last, voices.caller.seconds, voices.agent.seconds)
    drafts = _draft(speech, last, voices)
    incidents.losses.agent_cleared = sum(each.cut for each in speech.replies)
    return TimeLine(
        last,
        tuple(turn for turn, _ in drafts),
        tools.list(),
        tuple(_latencies(drafts)),
        tuple(_interruption(each, voices) for each in speech.cut_offs),
        tuple(incidents.drops),
        tuple(incidents.remarks),
        incidents.losses,
        incidents.ending,
        voices is not None,
    )


_Draft = tuple[Turn, CallerTurn | Reply]


def _draft(speech: _Speech, last: float, voices: Voices | None) -> list[_Draft]:
    """Returns the turns in order, each with its source."""
    drafts: list[_Draft] = []
    before = 0.0  # end of the caller's previous turn
    for said in speech.caller:
        drafts.append((_caller_turn(said, before, last, voices), said))
        before = last if said.end is None else said.end
    for reply in speech.replies:
        if reply.start is not None or reply.transcript():
            drafts.append((_agent_turn(reply, last, voices), reply))
    return sorted(drafts, key=lambda draft: (draft[0].start, draft[0].end))


def _caller_turn(
    said: CallerTurn, before: float, last: float, voices: Voices | None
) -> Turn:
    start, end = said.start, last if said.end is None else said.end
    silent = said.typed
    if voices is not None and not said.typed and end > start:
        earliest = max(before, start - _MAX_START_DELAY_SECONDS)
        heard = voices.caller.first_loud(earliest, end)
        until = voices.caller.last_loud(
            max(earliest, end - _MAX_STOP_DELAY_SECONDS), end
        )
        silent = heard is None
        if heard is not None:
            start = heard
        if until is not None:
            end = min(end, until)
    start = min(start, end)
    return Turn("caller", start, end, said.text, typed=said.typed, silent=silent)


def _agent_turn(reply: Reply, last: float, voices: Voices | None) -> Turn:
    # Audio queued when the call ended would have been played after its end.
    start = min(last, reply.began if reply.start is None else reply.start)
    end = start if reply.start is None else max(start, min(reply.end, last))
    if voices is not None and reply.start is not None:
        heard = voices.agent.first_loud(start, end)
        until = voices.agent.last_loud(start, end)
        if heard is not None and until is not None:
            start, end = heard, max(heard, min(end, until))
    words = tuple(
        Word(min(word.start, last), min(word.end, last), word.text)
        for word in reply.timed_words()
    )
    return Turn("agent", start, end, reply.transcript(), reply.interrupted, words=words)


def _latencies(drafts: Iterable[_Draft]) -> Iterable[Latency]:
    """Pair each caller turn with the first audio of its answer."""
    waiting: tuple[float, float] | None = None  # end of speech, end of turn
    for index, (turn, said) in enumerate(drafts):
        if isinstance(said, CallerTurn):
            is_over = said.end is not None and (said.typed or said.end > said.start)
            waiting = (turn.end, said.end or turn.end) if is_over else None
        elif waiting is not None and said.start is not None:
            at, decided = waiting
            if said.began >= decided:  # not a reply that the caller spoke over
                yield Latency(at, max(0.0, turn.start - at), decided, index)
                waiting = None


def _interruption(cut_off: CutOff, voices: Voices | None) -> Interruption:
    at = cut_off.at
    reply = cut_off.reply
    silent = at
    if reply is not None and reply.start is not None:
        silent = max(at, min(reply.end, at + _MAX_SILENCE_DELAY_SECONDS))
    if voices is not None:
        silent = min(voices.agent.quiet_from(at), at + _MAX_SILENCE_DELAY_SECONDS)
    seconds = max(0.0, silent - at)
    if reply is None or reply.heard is None:
        return Interruption(at, seconds, cut_off.by, cut_off.cut)
    return Interruption(at, seconds, cut_off.by, reply.cut, reply.heard)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
