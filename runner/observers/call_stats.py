"""Statistics of a call: transcripts, latencies, tool calls, and its counters."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from runner.audio.devices import BYTES_PER_SECOND, Microphone, Speaker
from runner.audio.playback import PlaybackCounts
from runner.errors import counted
from runner.observers.events import (
    AgentReplyEnded,
    AnswerHeard,
    CallEvent,
    CallInterpreter,
    FinalTranscript,
    ToolEnded,
    ToolStarted,
)
from runner.protocol.client.actions import Action, Play, Send
from runner.protocol.client.events import (
    Event,
    MalformedMessage,
    MicFrame,
    Received,
    ToolFinished,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.client.tool_calls import CallState
from runner.protocol.messages import InputAudio, ReplyAudio, ReplyCreate, Unknown


@dataclass(slots=True)
class CallRecord:
    """One tool call; `ended` is None while it runs."""

    name: str
    began: float
    ended: float | None = None
    is_error: bool = False


@dataclass(slots=True)
class CallStats:
    """Statistics of a call; `events` is fed by the engine and serves other observers.

    `answers` counts replies to the caller that were heard. `waits` are the seconds from
    the last audible audio of the caller to the first of the agent's answer, turn by
    turn, without typed turns. Times are seconds on the engine's clock.
    """

    words: list[FinalTranscript] = field(default_factory=list)
    answers: int = 0
    waits: list[float] = field(default_factory=list)
    calls: dict[str, CallRecord] = field(default_factory=dict)
    interruptions: int = 0
    events: CallInterpreter = field(default_factory=CallInterpreter)

    def __post_init__(self) -> None:
        # The first subscriber: other handlers read up-to-date statistics.
        self.events.subscribe(self.note)

    def note(self, event: CallEvent) -> None:
        """Counts an event."""
        match event:
            case FinalTranscript():
                self.words.append(event)
            case AnswerHeard(since_voice=since_voice):
                self.answers += 1
                if since_voice is not None:
                    self.waits.append(since_voice)
            case ToolStarted(at, call):
                self.calls[call.call_id] = CallRecord(call.name, at)
            case ToolEnded(at, call, outcome):
                run = self.calls[call.call_id]
                run.ended, run.is_error = at, outcome == "error"
            case AgentReplyEnded(is_interrupted=True):
                self.interruptions += 1
            case _:
                pass


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of one call. The names are part of the `--json` output.

    Seconds are seconds of audio, except `connection_lost_seconds` (elapsed time).
    """

    messages_sent: int = 0
    messages_received: int = 0
    audio_sent_seconds: float = 0.0
    audio_received_seconds: float = 0.0
    # Caller audio that was not sent: not read from the device in time; recorded while
    # disconnected; still queued because of a slow network.
    microphone_dropped_seconds: float = 0.0
    microphone_unsent_seconds: float = 0.0
    outbox_dropped_seconds: float = 0.0
    connection_drops: int = 0
    connection_lost_seconds: float = 0.0
    messages_malformed: int = 0
    messages_unknown: int = 0
    # Agent audio that was not played: received after its reply ended; discarded by an
    # interruption; rejected by a full buffer.
    audio_ignored_seconds: float = 0.0
    playback_cleared_seconds: float = 0.0
    playback_dropped_seconds: float = 0.0
    playback_underruns: int = 0
    tool_calls_run: int = 0
    tool_calls_failed: int = 0
    tool_calls_cancelled: int = 0
    tool_calls_late: int = 0  # ended after their result was no longer needed
    threads_hung: int = 0
    replies_retried: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Returns the counters by name, seconds rounded to milliseconds."""
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


@dataclass(slots=True)
class CounterObserver:
    """Counts messages and audio as an observer, and tool calls by call events."""

    session: ClientSession
    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    bytes_played: int = 0
    messages_malformed: int = 0
    messages_unknown: int = 0
    tool_calls_run: int = 0
    tool_calls_failed: int = 0
    tool_calls_cancelled: int = 0
    tool_calls_late: int = 0
    replies_retried: int = 0
    _was_retried: bool = False

    @property
    def bytes_ignored(self) -> int:
        """Bytes of agent audio that were received after their reply ended."""
        return self.bytes_received - self.bytes_played

    def observe(self, at: float, what: Event | Action) -> None:
        """Counts an engine event or action."""
        del at
        # Audio is checked first: it is by far the most frequent input.
        if isinstance(what, MicFrame):
            return
        if isinstance(what, Send):
            self.messages_sent += 1
            if isinstance(what.message, InputAudio):
                self.bytes_sent += len(what.message.pcm)
            elif isinstance(what.message, ReplyCreate):
                self.replies_retried += self._is_retried and not self._was_retried
                self._was_retried = self._is_retried
        elif isinstance(what, Play):
            self.bytes_played += len(what.pcm)
        elif isinstance(what, Received):
            self.messages_received += 1
            if isinstance(what.message, ReplyAudio):
                self.bytes_received += len(what.message.pcm)
                return
            self.messages_unknown += isinstance(what.message, Unknown)
            # The session processes this event next; a change after that is its effect.
            self._was_retried = self._is_retried
        elif isinstance(what, MalformedMessage):
            self.messages_received += 1
            self.messages_malformed += 1
        elif isinstance(what, ToolFinished):
            # Only the session knows if the result is still needed.
            call = self.session.turn_manager.calls.find(what.call_id)
            is_needed = call is not None and call.state is CallState.RUNNING
            self.tool_calls_late += not is_needed

    def note(self, event: CallEvent) -> None:
        """Counts a call event."""
        match event:
            case ToolStarted():
                self.tool_calls_run += 1
            case ToolEnded(outcome="cancelled"):
                self.tool_calls_cancelled += 1
            case ToolEnded(outcome="error"):
                self.tool_calls_failed += 1
            case _:
                pass

    @property
    def _is_retried(self) -> bool:
        return self.session.turn_manager.pending_reply.was_asked_again


class UnsentMessages(Protocol):
    """Messages that a slow connection dropped, and their bytes of audio."""

    @property
    def dropped_frames(self) -> int: ...

    @property
    def dropped_bytes(self) -> int: ...


def collect_counters(
    observer: CounterObserver,
    unsent: UnsentMessages,
    microphone: Microphone,
    speaker: Speaker,
    hung: int,
) -> Counters:
    """Returns all counters of a call. Call it on the event loop.

    `hung` is the number of tool threads that timed out and still run.
    """
    connection = observer.session.connection
    lost = connection.outage_seconds
    if connection.dropped_at is not None:  # still disconnected
        lost += asyncio.get_running_loop().time() - connection.dropped_at
    dropped_frames = unsent.dropped_frames
    dropped = unsent.dropped_bytes / BYTES_PER_SECOND
    # Only speakers with a clock of their own count it.
    playback = getattr(speaker, "counts", PlaybackCounts())
    return Counters(
        messages_sent=observer.messages_sent - dropped_frames,
        messages_received=observer.messages_received,
        audio_sent_seconds=max(0.0, observer.bytes_sent / BYTES_PER_SECOND - dropped),
        audio_received_seconds=observer.bytes_received / BYTES_PER_SECOND,
        microphone_dropped_seconds=microphone.dropped_ms / 1000,
        microphone_unsent_seconds=connection.unsent_bytes / BYTES_PER_SECOND,
        outbox_dropped_seconds=dropped,
        connection_drops=connection.drops,
        connection_lost_seconds=lost,
        messages_malformed=observer.messages_malformed,
        messages_unknown=observer.messages_unknown,
        audio_ignored_seconds=observer.bytes_ignored / BYTES_PER_SECOND,
        playback_cleared_seconds=playback.cleared_frames / playback.rate,
        playback_dropped_seconds=playback.dropped_frames / playback.rate,
        playback_underruns=playback.underruns,
        tool_calls_run=observer.tool_calls_run,
        tool_calls_failed=observer.tool_calls_failed,
        tool_calls_cancelled=observer.tool_calls_cancelled,
        tool_calls_late=observer.tool_calls_late,
        threads_hung=hung,
        replies_retried=observer.replies_retried,
    )


def format_losses(counters: Counters) -> list[str]:
    """Returns one phrase for each kind of loss; an empty list if there was none."""
    c = counters
    parts: list[str] = []
    if c.connection_drops:
        lost = f"{c.connection_lost_seconds:.1f} s"
        text = f"connection lost {_times(c.connection_drops)} for {lost}"
        if c.microphone_unsent_seconds:
            text += f", with {c.microphone_unsent_seconds:.1f} s of the microphone"
        parts.append(text)
    unsent = c.microphone_dropped_seconds + c.outbox_dropped_seconds
    if unsent:
        parts.append(f"{unsent:.2f} s of the microphone dropped")
    if c.messages_malformed:
        parts.append(f"{counted(c.messages_malformed, 'message')} malformed")
    if c.playback_dropped_seconds:
        parts.append(f"{c.playback_dropped_seconds:.1f} s of the agent's audio dropped")
    if c.playback_underruns:
        parts.append(counted(c.playback_underruns, "gap") + " in the agent's audio")
    if c.tool_calls_late:
        parts.append(counted(c.tool_calls_late, "tool result") + " too late")
    if c.threads_hung:
        parts.append(f"{counted(c.threads_hung, 'tool')} still running")
    if c.replies_retried:
        replies = counted(c.replies_retried, "reply", "replies")
        parts.append(f"{replies} requested again")
    return parts


def describe_all(counters: Counters) -> str:
    """Returns every counter with the name it has in `--json` output."""
    return ", ".join(f"{name} {value:g}" for name, value in counters.as_dict().items())


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
