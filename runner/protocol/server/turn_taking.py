"""Who speaks: the caller, the agent or nobody, and the calls that a reply left open.

| floor | set by                                   | what happens in it                |
|-------|------------------------------------------|-----------------------------------|
| IDLE  | a reply is done, a turn had no words     | the next wanted reply starts      |
| USER  | the caller speaks; a reply is cut for it | replies that are wanted wait      |
| AGENT | a reply starts                           | only its sound goes out           |

Whatever wants a reply (words of the caller, answered calls, reply.create) is noted and
taken up when the floor is free, so no two replies ever overlap. A reply covers all that
was noted before it: results that arrive while the caller speaks are in the mind's
memory by the time the caller is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from runner.protocol.messages import (
    ConversationMessage,
    InputSpeechStarted,
    InputSpeechStopped,
    JsonObject,
    ReplyAudio,
    ReplyCancel,
    ReplyCreate,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    SessionError,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
    parse_verbatim,
)
from runner.protocol.server.config import Settings, bytes_per_ms
from runner.protocol.server.events import (
    AppendHistory,
    AudioChunk,
    ClauseStarted,
    PartialTranscript,
    RemoveFromHistory,
    ReplyFailed,
    ReplyFinished,
    Send,
    ServerAction,
    SpeechStarted,
    StartReply,
    StopReply,
    ToolCallRequested,
    TurnCommitted,
)

# How long a resumed client has at least to answer the calls that were open.
ANSWER_SECONDS = 10.0

MakeId = Callable[[str], str]
Actions = Iterator[ServerAction]


class Floor:
    """Gives the word; fed by `ServerSession`, which owns the phases around it."""

    def __init__(self, settings: Settings, make_id: MakeId) -> None:
        self.settings = settings
        self.turn = Turn.IDLE
        self._make_id = make_id
        self._utterance: Utterance | None = None  # set exactly in AGENT
        self._item_id = ""  # of the caller's turn
        self._wanted = ReplyRequest()
        self._calls = OpenToolCalls()

    @property
    def deadline(self) -> float | None:
        """When the first open call times out."""
        return self._calls.deadline

    @property
    def yields(self) -> bool:
        """Whether the caller may speak now; else their sound should not be heard."""
        if self._utterance is None:
            return True
        detection = self.settings.turn_detection
        if self._utterance.is_greeting and "greeting" in detection.protected:
            return False
        return detection.interruptible

    def feed(
        self,
        event: SpeechStarted
        | PartialTranscript
        | TurnCommitted
        | ClauseStarted
        | AudioChunk
        | ToolCallRequested
        | ReplyFinished
        | ReplyFailed,
        now: float,
    ) -> Actions:
        """Take what ears, mind and voice report; late words of dead replies vanish."""
        match event:
            case SpeechStarted():
                yield from self._hear_caller()
            case PartialTranscript(text=text):
                if self.turn is Turn.USER:
                    yield Send(TranscriptUserDelta(text, self._item_id))
            case TurnCommitted(text=text):
                yield from self._answer_caller(text.strip())
            case _:
                utterance = self._utterance
                if utterance is not None and utterance.reply_id == event.reply_id:
                    yield from self._go_on(utterance, event, now)

    def greet(self, text: str) -> Actions:
        """Speak the greeting, verbatim."""
        yield from self._start(say=text)

    def obey(
        self, message: ToolResult | ReplyCreate | ReplyCancel | ConversationMessage
    ) -> Actions:
        """Do what the client asks of the conversation."""
        match message:
            case ToolResult():
                yield from self._answer_call(message)
            case ReplyCreate():
                self._wanted.create = message
                # A greeting gives way at once; any other reply is let finish.
                if self._utterance is not None and self._utterance.is_greeting:
                    yield from self._cut(self._utterance)
                yield from self.take_up()
            case ReplyCancel(reply_id=reply_id):
                utterance = self._utterance
                if utterance is not None and utterance.reply_id == reply_id:
                    yield from self._cut(utterance)
                    yield from self.take_up()
            case ConversationMessage():
                yield AppendHistory(message)

    def take_up(self) -> Actions:
        """Start the reply that is wanted, if any, when the floor is free."""
        if self.turn is Turn.IDLE and self._wanted:
            yield from self._start()

    def give_up_calls(self, now: float) -> Actions:
        """Answer calls whose time is over in the client's place."""
        for call_id in self._calls.late(now):
            text = '{"error":"the tool did not answer in time"}'
            yield from self._answer_call(ToolResult(call_id, text, is_error=True))

    def go_on(self, now: float) -> Actions:
        """Take up what the drop of the line has left, on a new line."""
        # The client is back: it has the time to answer what it could not.
        self._calls.postpone(now + ANSWER_SECONDS)
        # What was sent into a line that was already dead never arrived.
        for call in self._calls.messages:
            yield Send(call)
        yield from self.take_up()

    def quieten(self) -> Actions:
        """End whatever is being said, because the line or the session ends.

        Calls stay open (a resumed client answers them), and so does what was wanted.
        """
        utterance = self._utterance
        if utterance is not None:
            unheard = not utterance.spoken_text() and not utterance.is_greeting
            self._wanted.lost = unheard and not self._calls.awaits(utterance.reply_id)
            yield from self._cut(utterance, keep_calls=True)
        self.turn = Turn.IDLE

    # ------------------------------------------------------------------ the caller

    def _hear_caller(self) -> Actions:
        if self.turn is Turn.USER or not self.yields:
            return
        utterance = self._utterance
        # The client empties its speaker on this message: it goes before the rest.
        if utterance is not None:
            yield StopReply(utterance.reply_id)
        yield Send(InputSpeechStarted())
        if utterance is not None:
            yield from self._cut(utterance, stop=False)
        self.turn = Turn.USER
        self._item_id = self._make_id("msg")

    def _answer_caller(self, text: str) -> Actions:
        if self.turn is not Turn.USER:
            return
        self.turn = Turn.IDLE
        yield Send(InputSpeechStopped())
        if text:
            said = TranscriptUser(text, self._item_id)
            yield Send(said)
            yield AppendHistory(said)
            yield from self._start(answers=True)
        else:
            yield from self.take_up()

    # ------------------------------------------------------------------- the agent

    def _answer_call(self, result: ToolResult) -> Actions:
        """Take a result; the reply follows when the last call of its reply is in."""
        reply_id = self._calls.close(result.call_id)
        if reply_id is None:
            if not self._calls.was_closed(result.call_id):
                text = f"Unknown call_id '{result.call_id}'"
                yield Send(SessionError("invalid_value", text, "call_id"))
            return
        yield AppendHistory(result)
        if not self._calls.awaits(reply_id):
            self._wanted.results = True
            yield from self.take_up()

    def _start(self, say: str | None = None, *, answers: bool = False) -> Actions:
        wanted, self._wanted = self._wanted, ReplyRequest()
        create = wanted.create
        if create is not None and (answers or wanted.results):
            # Words that were dictated into a silence are no answer.
            create = None if parse_verbatim(create.instructions) else create
        self.turn = Turn.AGENT
        self._utterance = Utterance(
            self._make_id("resp"),
            self._make_id("msg"),
            bytes_per_ms(self.settings.output_encoding),
            is_greeting=say is not None,
        )
        reply_id = self._utterance.reply_id
        yield Send(ReplyStarted(reply_id, self._utterance.item_id))
        yield StartReply(
            reply_id,
            say,
            None if create is None else create.instructions,
            after_tools=wanted.results,
            unasked=create is not None,
        )

    def _go_on(
        self,
        utterance: Utterance,
        event: ClauseStarted
        | AudioChunk
        | ToolCallRequested
        | ReplyFinished
        | ReplyFailed,
        now: float,
    ) -> Actions:
        match event:
            case AudioChunk(pcm=pcm):
                utterance.count(pcm)
                yield Send(ReplyAudio(pcm, utterance.reply_id))
            case ClauseStarted(text=text, duration_ms=duration_ms):
                for delta in utterance.begin_clause(text, duration_ms):
                    yield Send(delta)
            case ToolCallRequested(name=name, arguments=arguments):
                yield from self._call(utterance, name, arguments, now)
            case ReplyFinished():
                yield from self._finish(utterance)
            case ReplyFailed():
                yield Send(
                    ReplyError(
                        utterance.reply_id,
                        event.code,
                        event.message,
                        event.retryable,
                    )
                )
                yield from self._finish(utterance)

    def _call(
        self, utterance: Utterance, name: str, arguments: JsonObject, now: float
    ) -> Actions:
        call = ToolCall(self._make_id("call"), name, dict(arguments))
        deadline = now + self.settings.tool_timeout(name)
        self._calls.open(call, utterance.reply_id, deadline)
        yield AppendHistory(call)
        yield Send(call)

    def _finish(self, utterance: Utterance) -> Actions:
        said = TranscriptAgent(utterance.text, utterance.reply_id, utterance.item_id)
        if said.text:
            # A reply that only called a tool had no words and has no transcript.
            yield Send(said)
            yield AppendHistory(said)
        self._utterance = None
        self.turn = Turn.IDLE
        yield Send(ReplyDone(utterance.reply_id, "completed"))
        yield from self.take_up()

    def _cut(
        self, utterance: Utterance, *, keep_calls: bool = False, stop: bool = True
    ) -> Actions:
        """Interrupt a reply: only what was heard is kept, its calls are forgotten."""
        if stop:
            yield StopReply(utterance.reply_id)
        self._utterance = None
        self.turn = Turn.IDLE
        said = TranscriptAgent(
            utterance.spoken_text(), utterance.reply_id, utterance.item_id, True
        )
        yield Send(said)
        if said.text:
            yield AppendHistory(said)
        yield Send(ReplyDone(utterance.reply_id, "interrupted"))
        for call_id in [] if keep_calls else self._calls.of(utterance.reply_id):
            self._calls.close(call_id)
            yield RemoveFromHistory(call_id)


# Who holds the floor, and why the next reply is wanted.


class Turn(Enum):
    """Who holds the floor."""

    IDLE = auto()
    USER = auto()
    AGENT = auto()


@dataclass(slots=True)
class ReplyRequest:
    """Why the next reply is wanted; false when it is not. A reply covers all of it."""

    create: ReplyCreate | None = None
    results: bool = False
    lost: bool = False  # a reply was cut by a drop before it was heard

    def __bool__(self) -> bool:
        return self.create is not None or self.results or self.lost


# The calls that a session's replies have left open, and those that are closed.


@dataclass(frozen=True, slots=True)
class _OpenCall:
    message: ToolCall
    reply_id: str
    deadline: float


class OpenToolCalls:
    """Keeps account of one session's calls; owned by the floor."""

    def __init__(self) -> None:
        self._open: dict[str, _OpenCall] = {}
        # Answered or forgotten: a late or second result is nobody's mistake.
        self._closed: set[str] = set()

    @property
    def deadline(self) -> float | None:
        """When the first open call times out."""
        return min((call.deadline for call in self._open.values()), default=None)

    def open(self, call: ToolCall, reply_id: str, deadline: float) -> None:
        """Note that a call is on its way to the client."""
        self._open[call.call_id] = _OpenCall(call, reply_id, deadline)

    @property
    def messages(self) -> list[ToolCall]:
        """The calls that are open, as they were sent, oldest first."""
        return [call.message for call in self._open.values()]

    def close(self, call_id: str) -> str | None:
        """Close an open call and return the id of its reply; None if it is not open."""
        call = self._open.pop(call_id, None)
        if call is None:
            return None
        self._closed.add(call_id)
        return call.reply_id

    def postpone(self, earliest: float) -> None:
        """Let no open call time out before this."""
        self._open = {
            call_id: replace(call, deadline=max(call.deadline, earliest))
            for call_id, call in self._open.items()
        }

    def was_closed(self, call_id: str) -> bool:
        """Whether this call was open once."""
        return call_id in self._closed

    def awaits(self, reply_id: str) -> bool:
        """Whether calls of this reply are still open."""
        return any(call.reply_id == reply_id for call in self._open.values())

    def of(self, reply_id: str) -> list[str]:
        """Return the open calls of a reply, oldest first."""
        return [k for k, call in self._open.items() if call.reply_id == reply_id]

    def late(self, now: float) -> list[str]:
        """Return the calls whose time is over."""
        return [k for k, call in self._open.items() if call.deadline <= now]


# One reply as it is spoken: its words, and how far its sound has got.
#
# Sound that was sent is the only measure of what was said: an interrupted reply keeps
# the words whose share of their clause's sound had gone out.


@dataclass(frozen=True, slots=True)
class _Clause:
    words: tuple[str, ...]
    start_ms: float
    duration_ms: float


class Utterance:
    """Counts one reply's sound against its words; owned by the floor."""

    def __init__(
        self,
        reply_id: str,
        item_id: str,
        bytes_per_ms: float,
        *,
        is_greeting: bool = False,
    ) -> None:
        self.reply_id = reply_id
        self.item_id = item_id
        self.is_greeting = is_greeting
        self._bytes_per_ms = bytes_per_ms
        self._sent_bytes = 0
        self._planned_ms = 0.0  # where the next clause's sound begins
        self._clauses: list[_Clause] = []

    @property
    def sent_ms(self) -> float:
        """How much of the sound has gone out."""
        return self._sent_bytes / self._bytes_per_ms

    @property
    def text(self) -> str:
        """Every word that was begun to be spoken, and those that follow it."""
        return " ".join(word for clause in self._clauses for word in clause.words)

    def begin_clause(self, text: str, duration_ms: float) -> list[TranscriptAgentDelta]:
        """Add words whose sound follows now; return them with their estimated times."""
        words = tuple(text.split())
        # A clause whose sound came out shorter than planned does not shift the next.
        start = max(self._planned_ms, self.sent_ms)
        self._clauses.append(_Clause(words, start, duration_ms))
        self._planned_ms = start + duration_ms
        letters = sum(len(word) for word in words)
        deltas, spoken = [], 0
        for word in words:
            begins = start + duration_ms * spoken / letters
            spoken += len(word)
            ends = start + duration_ms * spoken / letters
            deltas.append(
                TranscriptAgentDelta(
                    f"{word} ", self.reply_id, self.item_id, round(begins), round(ends)
                )
            )
        return deltas

    def count(self, pcm: bytes) -> None:
        """Note that this sound has gone out."""
        self._sent_bytes += len(pcm)

    def spoken_text(self) -> str:
        """Return the words whose sound has gone out, by their share of letters."""
        spoken: list[str] = []
        for clause in self._clauses:
            spoken += _spoken_words(clause, self.sent_ms - clause.start_ms)
        return " ".join(spoken)


def _spoken_words(clause: _Clause, sent_ms: float) -> tuple[str, ...]:
    # Sound is sent in whole chunks, so the last one may end a little early.
    if sent_ms >= clause.duration_ms - 1:
        # Text without sound (output.type text) counts as said at once.
        return clause.words
    letters = sum(len(word) for word in clause.words)
    sounded = 0
    for index, word in enumerate(clause.words):
        sounded += len(word)
        # A word counts once its middle has been heard.
        if (sounded - len(word) / 2) * clause.duration_ms > sent_ms * letters:
            return clause.words[:index]
    return clause.words
