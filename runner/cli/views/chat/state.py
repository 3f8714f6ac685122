"""The state of a call that a person watches; pure, fed with what happens and its time.

| state        | from                             | to                               |
|--------------|----------------------------------|----------------------------------|
| connecting   | the beginning                    | session.ready                    |
| reconnecting | the line breaks                  | session.ready                    |
| hearing you  | input.speech.started             | input.speech.stopped             |
| speaking     | the agent's sound is heard       | it has been heard, or is stopped |
| tool NAME    | a tool is started                | it has ended                     |
| thinking     | the caller or a tool is finished | the agent's sound, reply.done    |
| listening    | none of these                    |                                  |

The first of them that holds is shown, in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from runner.cli.chat.entries import AgentMessageEntry
from runner.cli.chat.levels import InputLevel, PlaybackLevel
from runner.cli.chat.quality import ConnectionQuality
from runner.cli.lines import printable
from runner.cli.views.chat.transcript import Transcript
from runner.engine.controls import ControlState
from runner.observers.call_stats import CallStats
from runner.observers.events import (
    AgentReplyEnded,
    CallEnded,
    CallerSpeechStarted,
    CallerSpeechStopped,
    CallEvent,
    ConnectionLost,
    FinalTranscript,
    PlaybackStopped,
    SessionOpened,
    ToolEnded,
    ToolRequested,
)
from runner.protocol.client.actions import Action, Play
from runner.protocol.client.events import Event, MicFrame, Received
from runner.protocol.messages import ReplyAudio

# At most so many pictures a second.
FRAME_SECONDS = 0.05


class ConnectionStatus(Enum):
    """How the connection stands."""

    CONNECTING = "connecting"
    LIVE = "live"
    BROKEN = "reconnecting"
    CLOSED = "over"


class Awaiting(Enum):
    """What the call waits for."""

    OPEN = auto()
    CALLER = auto()  # who is speaking
    AGENT = auto()  # who has not begun to


@dataclass(slots=True)
class ChatState:
    """What is shown. It follows the events of `record`, which is fed before it.

    `observe` is called with audio in addition: for the meters, and for what of the
    agent is heard at a moment.
    """

    record: CallStats = field(default_factory=CallStats)
    standing: ControlState = field(default_factory=ControlState)
    transcript: Transcript = field(default_factory=lambda: Transcript(printable))
    sound: PlaybackLevel = field(default_factory=PlaybackLevel)
    caller: InputLevel = field(default_factory=InputLevel)
    quality: ConnectionQuality = field(default_factory=ConnectionQuality)
    link: ConnectionStatus = ConnectionStatus.CONNECTING
    floor: Awaiting = Awaiting.OPEN
    # When the first thing happened; None before.
    began: float | None = None
    _reply_id: str = ""

    def __post_init__(self) -> None:
        """Follow the call."""
        self.record.events.subscribe(self.note)
        self.record.events.subscribe(self.transcript.follow)

    def observe(self, at: float, what: Event | Action) -> None:
        """Follow audio; all else comes as call events."""
        if self.began is None:
            self.began = at
        match what:
            case MicFrame(pcm):
                self.caller.hear(at, pcm)
            case Received(ReplyAudio(reply_id=reply_id)):
                self._reply_id = reply_id
                self.quality.arrive(at, reply_id, self.sound.ends)
            case Play(pcm):
                self.floor = (
                    Awaiting.OPEN if self.floor is Awaiting.AGENT else self.floor
                )
                begins = self.sound.play(at, pcm)
                self.transcript.hear(self._reply_id, begins, self.sound.ends)
            case _:
                pass

    def note(self, event: CallEvent) -> None:
        """Follow an event."""
        match event:
            case SessionOpened() | ConnectionLost() | CallEnded():
                self._note_link(event)
            case PlaybackStopped(at):
                self.sound.stop(at)
            case CallerSpeechStarted():
                self.floor = Awaiting.CALLER
            case CallerSpeechStopped() | FinalTranscript(source="typed"):
                self.floor = Awaiting.AGENT
            case ToolEnded(outcome="ok" | "error"):
                self.floor = Awaiting.AGENT
            case FinalTranscript(source="announcement", reply_id=reply_id):
                self._reply_id = reply_id
            case AgentReplyEnded():
                self.floor = (
                    Awaiting.OPEN if self.floor is Awaiting.AGENT else self.floor
                )
                self.quality.pause()
            case ToolRequested():
                self.quality.pause()
            case _:
                pass

    def state(self, now: float) -> str:
        """Return what the call is doing, in a word or two."""
        if self.link is not ConnectionStatus.LIVE:
            return str(self.link.value)
        if self.floor is Awaiting.CALLER and not self.standing.is_muted:
            return "hearing you"
        doing = self._doing(now)
        if not self.standing.is_muted:
            return doing or "listening"
        return f"{doing}, muted" if doing else "muted"

    def elapsed(self, now: float) -> float:
        """Return for how many seconds the call has lasted."""
        return 0.0 if self.began is None else max(0.0, now - self.began)

    def next_change(self, now: float) -> float:
        """Return when the picture may change though nothing happens."""
        words = [
            each for each in self.transcript.open if isinstance(each, AgentMessageEntry)
        ]
        if self.sound.is_heard(now) or any(each.ends > now for each in words):
            return now + FRAME_SECONDS
        due = (now if self.began is None else self.began) + int(self.elapsed(now)) + 1
        return due if due > now else due + 1.0  # a second that was rounded down

    def _doing(self, now: float) -> str:
        if self.sound.is_heard(now):
            return "speaking"
        tool = self.transcript.running()
        if tool is not None:
            return f"tool {tool}"
        return "thinking" if self.floor is Awaiting.AGENT else ""

    def _note_link(self, event: SessionOpened | ConnectionLost | CallEnded) -> None:
        match event:
            case SessionOpened():
                self.link = ConnectionStatus.LIVE
            case ConnectionLost(at):
                self.link, self.floor = ConnectionStatus.BROKEN, Awaiting.OPEN
                self.quality.drop(at)
            case CallEnded():
                self.link = ConnectionStatus.CLOSED


def new_chat_state(record: CallStats, clean: Callable[[str], str]) -> ChatState:
    """Return the model of a new call whose foreign text is made fit by `clean`."""
    return ChatState(record, transcript=Transcript(clean))
