"""The one interpreter of a call: from engine events and actions to call events.

The engine reports about two hundred events and actions a second, nearly all of them
audio. `CallInterpreter` turns them into the few events that statistics, telemetry,
timelines, test assertions and views are built on. It accepts the entries of a recording
in the same way. All times are seconds on the clock of the input.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from runner.audio.pcm import VOICE_DBFS, is_louder
from runner.protocol.client.actions import (
    Action,
    Announce,
    CancelTool,
    Close,
    Connect,
    Notify,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.events import (
    Disconnected,
    Event,
    HangUp,
    MalformedMessage,
    MicFrame,
    PlaybackCut,
    Received,
    Reconfigure,
    Say,
    ToolFinished,
)
from runner.protocol.messages import (
    ClientMessage,
    InputAudio,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyCreate,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    SessionEnd,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)
from runner.recording.format import AudioSummary, Entry

Side: TypeAlias = Literal["caller", "agent"]
Cause: TypeAlias = Literal["voice", "text", "service"]

# Four seconds of 20 ms: longer than any known service waits before it ends a turn.
_MAX_MICROPHONE_FRAMES = 200

# Called for each event and each action of the session, in order, with the time on the
# loop's clock in seconds. An observer does not block and does not raise.
Observer: TypeAlias = Callable[[float, Event | Action], None]


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The first connection to the service is being opened."""

    at: float


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A session is ready: the first, a resumed one, or a fresh one after a loss.

    `lost_seconds` is how long the connection was lost, None for the first session.
    """

    at: float
    session_id: str
    is_resumed: bool = False
    lost_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection of a session broke before either side ended the session."""

    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The caller speaks or types, or the agent starts to speak without being asked.

    A turn includes everything that follows from it: tool calls and replies.
    """

    at: float
    number: int
    by: Side


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn is over; `at` is the time of its last activity."""

    at: float
    number: int
    by: Side


@dataclass(frozen=True, slots=True)
class CallerSpeechStarted:
    """The service detected speech of the caller."""

    at: float


@dataclass(frozen=True, slots=True)
class CallerSpeechStopped:
    """The service considers the caller's turn complete."""

    at: float


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """Text before it is final: all of the caller's so far, or one word of the agent's.

    `start_ms` and `end_ms` count from the start of the reply's audio.
    """

    at: float
    speaker: Side
    text: str
    reply_id: str = ""
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FinalTranscript:
    """The final text of one side: transcribed, typed, or announced by the local voice.

    Typed text that the service sends back as a transcript is reported once, as typed.
    """

    at: float
    speaker: Side
    text: str
    reply_id: str = ""
    is_interrupted: bool = False
    source: Literal["speech", "typed", "announcement"] = "speech"


@dataclass(frozen=True, slots=True)
class ReplyRequested:
    """The client asked for a reply, with these instructions if there are any."""

    at: float
    instructions: str | None


@dataclass(frozen=True, slots=True)
class AgentReplyStarted:
    """The agent starts a reply."""

    at: float
    reply_id: str


@dataclass(frozen=True, slots=True)
class AgentReplyEnded:
    """A reply is complete or was interrupted."""

    at: float
    reply_id: str
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """Audio reaches the speaker: the first of a reply, or the first after a stop."""

    at: float
    reply_id: str


@dataclass(frozen=True, slots=True)
class PlaybackStopped:
    """The speaker's buffer is emptied; `cause` is None without an interruption."""

    at: float
    cause: Cause | None


@dataclass(frozen=True, slots=True)
class PlaybackTruncated:
    """The device's own count of a reply that was cut off, in seconds of audio."""

    at: float
    reply_id: str
    played_seconds: float
    dropped_seconds: float


@dataclass(frozen=True, slots=True)
class AnswerHeard:
    """The first audible audio of an answer reaches the speaker.

    `since_decision` counts from the end of the caller's turn as the service decided it,
    `since_voice` from the caller's last audible audio; None if the caller typed.
    """

    at: float
    since_decision: float
    since_voice: float | None = None


@dataclass(frozen=True, slots=True)
class ToolRequested:
    """The service asked for a tool call; it may never run."""

    at: float
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool starts to run."""

    at: float
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool ended after `seconds`; `text` is its result as JSON text.

    Each run ends once: the late result of a cancelled run is not reported.
    """

    at: float
    call: ToolCall
    outcome: Literal["ok", "error", "cancelled"]
    seconds: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class ToolResultSent:
    """The result of a tool call goes to the service."""

    at: float
    call_id: str


@dataclass(frozen=True, slots=True)
class ErrorReported:
    """The service reported an error, or sent a message that cannot be read."""

    at: float
    source: Literal["session", "reply", "message"]
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class NoticeGiven:
    """The client session reports a message for the user."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class ConfigurationChanged:
    """The agent was changed during the call."""

    at: float


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over. `ended_by`: limits of the agent file count as the agent."""

    at: float
    close: Close
    ended_by: Literal["caller", "agent", "service"]


CallEvent: TypeAlias = (
    CallStarted
    | SessionOpened
    | ConnectionLost
    | TurnStarted
    | TurnEnded
    | CallerSpeechStarted
    | CallerSpeechStopped
    | PartialTranscript
    | FinalTranscript
    | ReplyRequested
    | AgentReplyStarted
    | AgentReplyEnded
    | PlaybackStarted
    | PlaybackStopped
    | PlaybackTruncated
    | AnswerHeard
    | ToolRequested
    | ToolStarted
    | ToolEnded
    | ToolResultSent
    | ErrorReported
    | NoticeGiven
    | ConfigurationChanged
    | CallEnded
)
# Called on the event loop's thread; must not block or raise.
Handler: TypeAlias = Callable[[CallEvent], None]


@dataclass(slots=True)
class _Turn:
    number: int
    by: Side
    last: float  # time of the last activity
    has_reply: bool = False


class CallInterpreter:
    """Interprets one call. Pure: no clock, no I/O; times come with the input."""

    def __init__(self, *handlers: Handler) -> None:
        self._handlers = list(handlers)
        self._events: list[CallEvent] = []  # of the input that is being interpreted
        # Searched for the last audible frame only when the caller's turn is over.
        self._microphone: deque[tuple[float, bytes]] = deque(
            maxlen=_MAX_MICROPHONE_FRAMES
        )
        self._has_started = False
        self._session_id: str | None = None
        self._is_resuming = False
        self._lost_at: float | None = None
        self._sent_end = False
        self._hung_up = False
        self._service_ended = False
        self._is_over = False
        self._turn: _Turn | None = None
        self._turns = 0
        self._is_caller_speaking = False
        self._pending_transcripts = 0  # of spoken turns of the caller
        self._typed: str | None = None  # the caller's last text, if it was typed
        self._announcements = 0
        self._reply_id = ""
        self._is_playing = True  # False: the next audio is the first of a reply
        self._cause: Cause | None = None
        # While an answer is awaited: when the caller's turn was over, and the voice.
        self._decided_at: float | None = None
        self._voice_ended_at: float | None = None
        self._running: dict[str, tuple[float, ToolCall]] = {}

    def subscribe(self, handler: Handler) -> None:
        """Calls `handler` with each event from here on."""
        self._handlers.append(handler)

    def observe(self, at: float, what: Entry | Event | Action) -> None:
        """Interprets an engine event, an action or a recorded entry; call handlers."""
        for event in self.feed(at, what):
            for handle in self._handlers:
                handle(event)

    def feed(self, at: float, what: Entry | Event | Action) -> Sequence[CallEvent]:
        """Returns the call events that follow from an event, an action or an entry.

        Audio comes first and returns early: it is the input nearly all of the time.
        """
        if isinstance(what, MicFrame):
            self._microphone.append((at, what.pcm))
            return ()
        if isinstance(what, Play):
            if self._is_playing and self._decided_at is None:
                return ()
        elif isinstance(what, AudioSummary):
            if self._is_playing or not what.played:
                return ()
        elif isinstance(what, Send):
            if isinstance(what.message, InputAudio):
                return ()
        elif isinstance(what, Received) and isinstance(what.message, ReplyAudio):
            return ()
        self._events = []
        self._interpret(at, what)
        return self._events

    def _emit(self, event: CallEvent) -> None:
        self._events.append(event)

    def _interpret(self, at: float, what: Entry | Event | Action) -> None:
        if isinstance(what, Event):
            self._cause = _cause_of(what)  # of the actions that follow
        match what:
            case Play() | AudioSummary() | StopPlayback() | PlaybackCut():
                self._note_playback(at, what)
            case Received(message):
                self._note_received(at, message)
            case Send(message):
                self._note_sent(at, message)
            case RunTool() | ToolFinished() | CancelTool():
                self._note_tool(at, what)
            case Say() | Announce():
                self._note_text(at, what)
            case Connect() | Disconnected() | HangUp() | Close():
                self._note_connection(at, what)
            case MalformedMessage() | Notify() | Reconfigure():
                self._note_report(at, what)
            case _:
                pass

    def _note_report(
        self, at: float, what: MalformedMessage | Notify | Reconfigure
    ) -> None:
        match what:
            case MalformedMessage(reason):
                self._emit(ErrorReported(at, "message", "unreadable", reason))
            case Notify(text):
                self._emit(NoticeGiven(at, text))
            case Reconfigure():
                self._emit(ConfigurationChanged(at))

    # ------------------------------------------------------------------ connection

    def _note_connection(
        self, at: float, what: Connect | Disconnected | HangUp | Close
    ) -> None:
        match what:
            case Connect():
                self._is_resuming = False
                if not self._has_started:
                    self._has_started = True
                    self._emit(CallStarted(at))
            case Disconnected(reason):
                # A service that was never reached lost no connection, an attempt to
                # reconnect that failed is not another loss, and after the end of the
                # session the connection is expected to close.
                is_open = self._session_id is not None and self._lost_at is None
                if is_open and not self._is_over:
                    self._lost_at = at
                    self._is_caller_speaking = False
                    self._emit(ConnectionLost(at, reason))
            case HangUp():
                self._hung_up = True
            case Close():
                self._is_over = True
                for call_id in list(self._running):
                    self._end_tool(at, call_id, "cancelled")
                self._end_turn()
                by: Literal["caller", "agent", "service"]
                by = "service" if self._service_ended else "agent"
                self._emit(CallEnded(at, what, "caller" if self._hung_up else by))

    def _note_ready(self, at: float, session_id: str) -> None:
        lost_seconds = None
        is_resumed = False
        if self._session_id is not None:
            lost_seconds = 0.0 if self._lost_at is None else at - self._lost_at
            is_resumed = self._is_resuming
        self._session_id, self._lost_at = session_id, None
        self._is_resuming = False
        self._emit(SessionOpened(at, session_id, is_resumed, lost_seconds))

    def _note_sent(self, at: float, message: ClientMessage) -> None:
        match message:
            case SessionResume():
                self._is_resuming = True
            case SessionUpdate():
                self._is_resuming = False
            case SessionEnd():
                self._sent_end = self._is_over = True
            case ReplyCreate(instructions):
                self._emit(ReplyRequested(at, instructions))
            case ToolResult(call_id=call_id):
                self._emit(ToolResultSent(at, call_id))
            case _:
                pass

    # ---------------------------------------------------------------------- speech

    def _note_received(self, at: float, message: ServerMessage) -> None:
        match message:
            case SessionReady(session_id):
                self._note_ready(at, session_id)
            case SessionEnded():
                self._is_over = True
                self._service_ended = not self._sent_end
            case InputSpeechStarted() | InputSpeechStopped():
                self._note_speech(at, message)
            case ReplyStarted() | ReplyDone():
                self._note_reply(at, message)
            case ToolCall():
                self._emit(ToolRequested(at, message))
            case SessionError(code, text):
                self._emit(ErrorReported(at, "session", code, text))
            case ReplyError(code=code, message=text):
                self._emit(ErrorReported(at, "reply", code, text))
            case _:
                self._note_transcript(at, message)

    def _note_transcript(self, at: float, message: ServerMessage) -> None:
        match message:
            case TranscriptUserDelta(text=text):
                self._emit(PartialTranscript(at, "caller", text))
            case TranscriptUser(text=text):
                self._note_caller_text(at, text)
            case TranscriptAgentDelta(delta, reply_id):
                times = message.start_ms, message.end_ms
                self._emit(PartialTranscript(at, "agent", delta, reply_id, *times))
            case TranscriptAgent(text, reply_id, interrupted=is_interrupted):
                self._note_activity(at)
                self._emit(FinalTranscript(at, "agent", text, reply_id, is_interrupted))
            case _:
                pass

    def _note_text(self, at: float, what: Say | Announce) -> None:
        """Notes text of which the service sends no transcript, or a mere copy."""
        if isinstance(what, Say):
            self._start_turn(at, "caller")
            self._decided_at, self._voice_ended_at = at, None
            self._typed = what.text
            self._emit(FinalTranscript(at, "caller", what.text, source="typed"))
            return
        self._announcements += 1
        self._reply_id = f"announcement {self._announcements}"
        self._is_playing = False
        event = FinalTranscript(at, "agent", what.text, self._reply_id)
        self._emit(replace(event, source="announcement"))

    def _note_speech(
        self, at: float, message: InputSpeechStarted | InputSpeechStopped
    ) -> None:
        if isinstance(message, InputSpeechStopped):
            self._is_caller_speaking = False
            self._decided_at, self._voice_ended_at = at, self._find_voice_end(at)
            self._emit(CallerSpeechStopped(at))
            return
        if not self._is_caller_speaking:
            self._is_caller_speaking = True
            self._pending_transcripts += 1
            self._typed = None
        self._decided_at = self._voice_ended_at = None
        turn = self._turn
        # A caller who goes on before any reply continues the same turn.
        if turn is None or turn.has_reply or turn.by == "agent":
            self._start_turn(at, "caller")
        self._emit(CallerSpeechStarted(at))

    def _find_voice_end(self, decided_at: float) -> float:
        for at, pcm in reversed(self._microphone):
            if is_louder(pcm, VOICE_DBFS):
                return at
        return decided_at

    def _note_caller_text(self, at: float, text: str) -> None:
        if self._pending_transcripts:
            self._pending_transcripts -= 1
        elif self._typed is not None and self._typed.strip() == text.strip():
            return  # the service sends back what was typed
        self._typed = None
        self._emit(FinalTranscript(at, "caller", text))

    def _note_reply(self, at: float, message: ReplyStarted | ReplyDone) -> None:
        match message:
            case ReplyStarted(reply_id):
                self._reply_id, self._is_playing = reply_id, False
                if self._turn is None:
                    self._start_turn(at, "agent")
                self._note_activity(at, has_reply=True)
                self._emit(AgentReplyStarted(at, reply_id))
            case ReplyDone(reply_id, status):
                self._note_activity(at)
                self._emit(AgentReplyEnded(at, reply_id, status == "interrupted"))

    def _note_playback(
        self, at: float, what: Play | AudioSummary | StopPlayback | PlaybackCut
    ) -> None:
        match what:
            case StopPlayback():
                self._is_playing = False
                self._emit(PlaybackStopped(at, self._cause))
            case PlaybackCut(reply_id, played_ms, dropped_ms):
                seconds = played_ms / 1000, dropped_ms / 1000
                self._emit(PlaybackTruncated(at, reply_id, *seconds))
            case Play() | AudioSummary():
                if not self._is_playing:
                    self._is_playing = True
                    self._emit(PlaybackStarted(at, self._reply_id))
                since = self._decided_at
                if since is None or isinstance(what, AudioSummary):
                    return  # a recording keeps how much there was, not how loud
                if is_louder(what.pcm, VOICE_DBFS):
                    self._note_answer(at, since)

    def _note_answer(self, at: float, decided_at: float) -> None:
        voice_ended_at = self._voice_ended_at
        since_voice = None if voice_ended_at is None else at - voice_ended_at
        self._decided_at = self._voice_ended_at = None
        self._note_activity(at)
        self._emit(AnswerHeard(at, at - decided_at, since_voice))

    # ----------------------------------------------------------------------- tools

    def _note_tool(self, at: float, what: RunTool | ToolFinished | CancelTool) -> None:
        match what:
            case RunTool(call):
                self._running[call.call_id] = at, call
                self._emit(ToolStarted(at, call))
            case ToolFinished(call_id, text, is_error):
                self._end_tool(at, call_id, "error" if is_error else "ok", text)
            case CancelTool(call_id):
                self._end_tool(at, call_id, "cancelled")

    def _end_tool(
        self,
        at: float,
        call_id: str,
        outcome: Literal["ok", "error", "cancelled"],
        text: str = "",
    ) -> None:
        if call_id in self._running:
            started_at, call = self._running.pop(call_id)
            self._note_activity(at)
            self._emit(ToolEnded(at, call, outcome, at - started_at, text))

    # ----------------------------------------------------------------------- turns

    def _start_turn(self, at: float, by: Side) -> None:
        self._end_turn()
        self._turns += 1
        self._turn = _Turn(self._turns, by, at)
        self._emit(TurnStarted(at, self._turns, by))

    def _note_activity(self, at: float, *, has_reply: bool = False) -> None:
        if self._turn is not None:
            self._turn.last = at
            self._turn.has_reply |= has_reply

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self._emit(TurnEnded(turn.last, turn.number, turn.by))


def _cause_of(event: Event) -> Cause | None:
    """Returns how an event interrupts the agent, if it does."""
    match event:
        case Received(InputSpeechStarted()):
            return "voice"
        case Say():
            return "text"
        case Received(ReplyDone(status="interrupted")):
            return "service"
        case _:
            return None
