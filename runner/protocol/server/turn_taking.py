"""Turn-taking on the server side: the floor, the reply in progress, open tool calls.

| floor | set by                                  | effect                             |
|-------|-----------------------------------------|------------------------------------|
| IDLE  | a reply is done, a turn had no speech   | the next requested reply starts    |
| USER  | the caller speaks, interrupting a reply | requested replies wait             |
| AGENT | a reply starts                          | only its audio is sent             |

A request for a reply (speech of the caller, tool results, reply.create) waits until the
floor is free, so replies never overlap. A reply answers all requests before it: results
that arrive while the caller speaks are in the history when the caller is answered.

Calls of tools with `execution_mode: hold` are silent: a reply that only makes such
calls is not announced, and until they are answered, the caller's transcripts are
withheld and start no reply. reply.create does, for a status update.
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

# The minimum time that a resumed client has to answer the calls that were open.
ANSWER_SECONDS = 10.0

MakeId = Callable[[str], str]
Actions = Iterator[ServerAction]


class Floor:
    """Controls the floor of a session; fed by `ServerSession` while it is live."""

    def __init__(self, settings: Settings, make_id: MakeId) -> None:
        self.settings = settings
        self.turn = Turn.IDLE
        self._make_id = make_id
        self._utterance: Utterance | None = None  # set only while AGENT
        self._item_id = ""  # of the caller's turn
        self._requested = ReplyRequest()
        self._calls = OpenToolCalls()
        # Transcripts of the caller during a hold.
        self._withheld: list[TranscriptUser] = []

    @property
    def deadline(self) -> float | None:
        """The earliest timeout of the open calls."""
        return self._calls.deadline

    @property
    def is_interruptible(self) -> bool:
        """True if the caller may speak now; otherwise STT should ignore the audio."""
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
        """Handles events of STT, LLM and TTS; ignores events of interrupted replies."""
        match event:
            case SpeechStarted():
                yield from self._start_turn()
            case PartialTranscript(text=text):
                if self.turn is Turn.USER and not self._is_holding:
                    yield Send(TranscriptUserDelta(text, self._item_id))
            case TurnCommitted(text=text):
                yield from self._commit_turn(text.strip())
            case _:
                utterance = self._utterance
                if utterance is not None and utterance.reply_id == event.reply_id:
                    yield from self._continue_reply(utterance, event, now)

    def greet(self, text: str) -> Actions:
        """Speaks the greeting verbatim."""
        yield from self._start(say=text)

    def handle(
        self, message: ToolResult | ReplyCreate | ReplyCancel | ConversationMessage
    ) -> Actions:
        """Handles a message of the client."""
        match message:
            case ToolResult():
                yield from self._answer_call(message)
            case ReplyCreate():
                self._requested.create = message
                # A greeting is interrupted at once; any other reply is finished first.
                if self._utterance is not None and self._utterance.is_greeting:
                    yield from self._cut(self._utterance)
                yield from self.start_requested()
            case ReplyCancel(reply_id=reply_id):
                utterance = self._utterance
                if utterance is not None and utterance.reply_id == reply_id:
                    yield from self._cut(utterance)
                    yield from self.start_requested()
            case ConversationMessage():
                yield AppendHistory(message)

    def start_requested(self) -> Actions:
        """Starts the requested reply, if any, if the floor is free."""
        if self.turn is Turn.IDLE and self._requested:
            yield from self._start()

    def time_out_calls(self, now: float) -> Actions:
        """Answers calls that timed out with an error."""
        for call_id in self._calls.late(now):
            text = '{"error":"the tool did not answer in time"}'
            yield from self._answer_call(ToolResult(call_id, text, is_error=True))

    def resume(self, now: float) -> Actions:
        """Continues on a new connection: open calls, then the requested reply."""
        self._calls.postpone(now + ANSWER_SECONDS)
        # Calls that were sent just before the drop may not have arrived.
        for call in self._calls.messages:
            yield Send(call)
        yield from self.start_requested()

    def stop_speaking(self) -> Actions:
        """Interrupts the reply, because the connection or the session ends.

        Calls remain open (a resumed client answers them), and so do requests.
        """
        utterance = self._utterance
        if utterance is not None:
            is_unheard = not utterance.spoken_text() and not utterance.is_greeting
            self._requested.lost = is_unheard and not self._calls.awaits(
                utterance.reply_id
            )
            yield from self._cut(utterance, keep_calls=True)
        self.turn = Turn.IDLE

    # ------------------------------------------------------------------ the caller

    def _start_turn(self) -> Actions:
        if self.turn is Turn.USER or not self.is_interruptible:
            return
        utterance = self._utterance
        # The client clears its playback buffer on this message: it is sent first.
        if utterance is not None:
            yield StopReply(utterance.reply_id)
        yield Send(InputSpeechStarted())
        if utterance is not None:
            yield from self._cut(utterance, stop=False)
        self.turn = Turn.USER
        self._item_id = self._make_id("msg")

    def _commit_turn(self, text: str) -> Actions:
        if self.turn is not Turn.USER:
            return
        self.turn = Turn.IDLE
        yield Send(InputSpeechStopped())
        if text:
            transcript = TranscriptUser(text, self._item_id)
            if self._is_holding:
                self._withheld.append(transcript)
                yield AppendHistory(transcript)
                yield from self.start_requested()
                return
            yield from self._send_withheld()
            yield Send(transcript)
            yield AppendHistory(transcript)
            yield from self._start(answers=True)
        else:
            yield from self.start_requested()

    # ------------------------------------------------------------------- the agent

    def _answer_call(self, result: ToolResult) -> Actions:
        """Handles a result; the reply starts after the last result of its calls."""
        reply_id = self._calls.close(result.call_id)
        if reply_id is None:
            if not self._calls.was_closed(result.call_id):
                text = f"Unknown call_id '{result.call_id}'"
                yield Send(SessionError("invalid_value", text, "call_id"))
            return
        yield AppendHistory(result)
        if not self._is_holding:
            yield from self._send_withheld()
        if not self._calls.awaits(reply_id):
            self._requested.results = True
            yield from self.start_requested()

    def _start(self, say: str | None = None, *, answers: bool = False) -> Actions:
        request, self._requested = self._requested, ReplyRequest()
        create = request.create
        if create is not None and (answers or request.results):
            # A verbatim text is not an answer.
            create = None if parse_verbatim(create.instructions) else create
        self.turn = Turn.AGENT
        self._utterance = Utterance(
            self._make_id("resp"),
            self._make_id("msg"),
            bytes_per_ms(self.settings.output_encoding),
            is_greeting=say is not None,
        )
        reply_id = self._utterance.reply_id
        # The LLM may only call a tool that is to run in silence.
        if say is not None or create is not None or not self.settings.has_hold_tools:
            yield from self._announce(self._utterance)
        yield StartReply(
            reply_id,
            say,
            None if create is None else create.instructions,
            after_tools=request.results,
            unasked=create is not None,
        )

    def _continue_reply(
        self,
        utterance: Utterance,
        event: ClauseStarted
        | AudioChunk
        | ToolCallRequested
        | ReplyFinished
        | ReplyFailed,
        now: float,
    ) -> Actions:
        if not isinstance(event, ToolCallRequested | ReplyFinished):
            yield from self._announce(utterance)
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
        is_held = self.settings.is_held(name)
        if not is_held:
            yield from self._announce(utterance)
        call = ToolCall(self._make_id("call"), name, dict(arguments))
        deadline = now + self.settings.tool_timeout(name)
        self._calls.open(call, utterance.reply_id, deadline, is_held=is_held)
        utterance.made_calls = True
        yield AppendHistory(call)
        yield Send(call)

    def _announce(self, utterance: Utterance) -> Actions:
        """Sends reply.started, unless it was sent."""
        if not utterance.is_announced:
            utterance.is_announced = True
            yield Send(ReplyStarted(utterance.reply_id, utterance.item_id))

    @property
    def _is_holding(self) -> bool:
        """True while a call runs in silence."""
        return self._calls.has_held

    def _send_withheld(self) -> Actions:
        withheld, self._withheld = self._withheld, []
        for said in withheld:
            yield Send(said)

    def _finish(self, utterance: Utterance) -> Actions:
        if not utterance.is_announced and utterance.made_calls:
            self._utterance = None
            self.turn = Turn.IDLE
            yield from self.start_requested()
            return
        yield from self._announce(utterance)
        transcript = TranscriptAgent(
            utterance.text, utterance.reply_id, utterance.item_id
        )
        if transcript.text:
            # A reply that only called tools has no transcript.
            yield Send(transcript)
            yield AppendHistory(transcript)
        self._utterance = None
        self.turn = Turn.IDLE
        yield Send(ReplyDone(utterance.reply_id, "completed"))
        yield from self.start_requested()

    def _cut(
        self, utterance: Utterance, *, keep_calls: bool = False, stop: bool = True
    ) -> Actions:
        """Interrupts a reply: keeps the spoken text and forgets its calls."""
        if stop:
            yield StopReply(utterance.reply_id)
        self._utterance = None
        self.turn = Turn.IDLE
        if not utterance.is_announced:
            return  # of which the client knows at most silent calls; they go on
        transcript = TranscriptAgent(
            utterance.spoken_text(), utterance.reply_id, utterance.item_id, True
        )
        yield Send(transcript)
        if transcript.text:
            yield AppendHistory(transcript)
        yield Send(ReplyDone(utterance.reply_id, "interrupted"))
        for call_id in [] if keep_calls else self._calls.of(utterance.reply_id):
            self._calls.close(call_id)
            yield RemoveFromHistory(call_id)


class Turn(Enum):
    """Holders of the floor."""

    IDLE = auto()
    USER = auto()
    AGENT = auto()


@dataclass(slots=True)
class ReplyRequest:
    """Reasons for the next reply; false if there is none."""

    create: ReplyCreate | None = None
    results: bool = False
    lost: bool = False  # a drop interrupted a reply before it was heard

    def __bool__(self) -> bool:
        return self.create is not None or self.results or self.lost


@dataclass(frozen=True, slots=True)
class _OpenCall:
    message: ToolCall
    reply_id: str
    deadline: float
    is_held: bool = False


class OpenToolCalls:
    """Open and closed tool calls of a session; owned by the floor."""

    def __init__(self) -> None:
        self._open: dict[str, _OpenCall] = {}
        # Answered or forgotten: a late or repeated result is not an error.
        self._closed: set[str] = set()

    @property
    def deadline(self) -> float | None:
        """The earliest timeout of the open calls."""
        return min((call.deadline for call in self._open.values()), default=None)

    @property
    def has_held(self) -> bool:
        """True if an open call runs in silence (`execution_mode: hold`)."""
        return any(call.is_held for call in self._open.values())

    def open(
        self, call: ToolCall, reply_id: str, deadline: float, *, is_held: bool = False
    ) -> None:
        """Adds a call that is sent to the client."""
        self._open[call.call_id] = _OpenCall(call, reply_id, deadline, is_held)

    @property
    def messages(self) -> list[ToolCall]:
        """The open calls as they were sent, oldest first."""
        return [call.message for call in self._open.values()]

    def close(self, call_id: str) -> str | None:
        """Closes an open call and returns the id of its reply; None if not open."""
        call = self._open.pop(call_id, None)
        if call is None:
            return None
        self._closed.add(call_id)
        return call.reply_id

    def postpone(self, earliest: float) -> None:
        """Moves earlier timeouts of open calls to this time."""
        self._open = {
            call_id: replace(call, deadline=max(call.deadline, earliest))
            for call_id, call in self._open.items()
        }

    def was_closed(self, call_id: str) -> bool:
        """True if this call is closed."""
        return call_id in self._closed

    def awaits(self, reply_id: str) -> bool:
        """True if calls of this reply are open."""
        return any(call.reply_id == reply_id for call in self._open.values())

    def of(self, reply_id: str) -> list[str]:
        """Returns the ids of the open calls of a reply, oldest first."""
        return [k for k, call in self._open.items() if call.reply_id == reply_id]

    def late(self, now: float) -> list[str]:
        """Returns the ids of the calls that have timed out."""
        return [k for k, call in self._open.items() if call.deadline <= now]


# The words of a reply by the audio that was sent: an interrupted reply keeps the words
# whose share of their clause's audio was sent.


@dataclass(frozen=True, slots=True)
class _Clause:
    words: tuple[str, ...]
    start_ms: float
    duration_ms: float


class Utterance:
    """Maps the sent audio of one reply to its words; owned by the floor."""

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
        self.is_announced = False  # by reply.started
        self.made_calls = False
        self._bytes_per_ms = bytes_per_ms
        self._sent_bytes = 0
        self._planned_ms = 0.0  # start of the next clause's audio
        self._clauses: list[_Clause] = []

    @property
    def sent_ms(self) -> float:
        """Milliseconds of audio that were sent."""
        return self._sent_bytes / self._bytes_per_ms

    @property
    def text(self) -> str:
        """The text of all clauses that have started."""
        return " ".join(word for clause in self._clauses for word in clause.words)

    def begin_clause(self, text: str, duration_ms: float) -> list[TranscriptAgentDelta]:
        """Adds a clause whose audio follows; returns its words with estimated times."""
        words = tuple(text.split())
        # A clause with less audio than planned does not shift the next one.
        start = max(self._planned_ms, self.sent_ms)
        self._clauses.append(_Clause(words, start, duration_ms))
        self._planned_ms = start + duration_ms
        letters = sum(len(word) for word in words)
        # As measured: the words of a greeting have no space, those of the LLM have one.
        space = "" if self.is_greeting else " "
        deltas, spoken = [], 0
        for word in words:
            begins = start + duration_ms * spoken / letters
            spoken += len(word)
            ends = start + duration_ms * spoken / letters
            deltas.append(
                TranscriptAgentDelta(
                    word + space,
                    self.reply_id,
                    self.item_id,
                    round(begins),
                    round(ends),
                )
            )
        return deltas

    def count(self, pcm: bytes) -> None:
        """Counts audio that is sent."""
        self._sent_bytes += len(pcm)

    def spoken_text(self) -> str:
        """Returns the words whose audio was sent, by their share of letters."""
        spoken: list[str] = []
        for clause in self._clauses:
            spoken += _spoken_words(clause, self.sent_ms - clause.start_ms)
        return " ".join(spoken)


def _spoken_words(clause: _Clause, sent_ms: float) -> tuple[str, ...]:
    # Audio is sent in whole chunks, so the last one may end a little early.
    if sent_ms >= clause.duration_ms - 1:
        # Text without audio (output.type text) counts as spoken at once.
        return clause.words
    letters = sum(len(word) for word in clause.words)
    spoken = 0
    for index, word in enumerate(clause.words):
        spoken += len(word)
        # A word counts once its middle has been sent.
        if (spoken - len(word) / 2) * clause.duration_ms > sent_ms * letters:
            return clause.words[:index]
    return clause.words
