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

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, TypeAlias

from runner.audio.pcm import SILENCE_DBFS, loudness
from runner.cli.output import printable
from runner.cli.views.chat.transcript import AgentMessageEntry, Transcript
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

# How loud both sides are, in steps of a meter, and what of the agent is being heard.
#
# Computed from the sound that passes and its times; no device is asked.


STEPS = 8
# The lowest step that shows begins above room noise, the highest at loud speech.
QUIETEST_DBFS = -50.0
LOUDEST_DBFS = -10.0
_MS_A_SLICE = 50
_BYTES_A_SECOND = 48_000  # 24 kHz, 16 bits, mono
_SLICE = _BYTES_A_SECOND * _MS_A_SLICE // 1000
# Sound of the microphone older than this shows nothing: the device has stopped.
_STALE_SECONDS = 0.5


def step(dbfs: float) -> int:
    """Return a level as a step of the meter, 0 for quiet to `STEPS`."""
    share = (dbfs - QUIETEST_DBFS) / (LOUDEST_DBFS - QUIETEST_DBFS)
    return max(0, min(STEPS, round(share * STEPS)))


@dataclass(slots=True)
class InputLevel:
    """The microphone's level; nothing is computed before somebody looks."""

    _pcm: bytes = b""
    _at: float = -1e9

    def hear(self, at: float, pcm: bytes) -> None:
        """Take in a frame."""
        self._at, self._pcm = at, pcm

    def at(self, now: float) -> int:
        """Return the step that a meter shows."""
        if now - self._at > _STALE_SECONDS:
            return 0
        return step(loudness(self._pcm))


@dataclass(slots=True)
class PlaybackLevel:
    """The agent's sound in the order of its playing; `ends` is when it will be over.

    Sound comes faster than it is heard, so each piece has a time of its own. Times are
    seconds of the engine's clock.
    """

    ends: float = 0.0
    _slices: deque[tuple[float, bytes]] = field(default_factory=deque)

    def play(self, at: float, pcm: bytes) -> float:
        """Take in sound that was handed to the speaker; return when it is heard."""
        begins = max(at, self.ends)
        for start in range(0, len(pcm), _SLICE):
            piece = pcm[start : start + _SLICE]
            self._slices.append((begins + start / _BYTES_A_SECOND, piece))
        self.ends = begins + len(pcm) / _BYTES_A_SECOND
        self._forget(at)
        return begins

    def stop(self, at: float) -> None:
        """Forget what was not heard yet."""
        self.ends = min(self.ends, at)
        self._slices.clear()

    def is_heard(self, now: float) -> bool:
        """Whether the agent is heard at this moment."""
        return now < self.ends

    def at(self, now: float) -> int:
        """Return the step that a meter shows."""
        self._forget(now)
        if not self._slices or now >= self.ends or self._slices[0][0] > now:
            return 0
        level = loudness(self._slices[0][1])
        return 0 if level <= SILENCE_DBFS else step(level)

    def _forget(self, now: float) -> None:
        # The latest one that has begun is being heard.
        while len(self._slices) > 1 and self._slices[1][0] <= now:
            self._slices.popleft()


# How good the line is, from how late the agent's sound came and how often it broke.


Quality: TypeAlias = Literal["", "good", "uneven", "poor"]

# What is remembered: a person cares for the line of now.
_WINDOW_SECONDS = 60.0
# Sound that comes this much after the one before it has ended is a gap: less is evened
# out by the speaker's buffer (40 to 120 ms).
LATE_SECONDS = 0.06
# A gap that anybody hears as one.
_LONG_SECONDS = 0.25
_MANY_GAPS = 4
_MANY_DROPS = 2


@dataclass(slots=True)
class ConnectionQuality:
    """Watches arrivals; times are seconds of the engine's clock."""

    _gaps: deque[tuple[float, float]] = field(default_factory=deque)
    _drops: deque[float] = field(default_factory=deque)
    _reply: str | None = None
    _has_sound: bool = False

    def arrive(self, at: float, reply_id: str, plays_until: float) -> None:
        """Take note of sound, and of when all sound before it had been played."""
        is_first = reply_id != self._reply
        self._reply, self._has_sound = reply_id, True
        late = at - plays_until
        if not is_first and late > LATE_SECONDS:
            self._gaps.append((at, late))

    def drop(self, at: float) -> None:
        """Take note that the connection broke."""
        self._drops.append(at)
        self._reply = None  # what follows is late for a reason that is known

    def pause(self) -> None:
        """Take note that the agent's sound may rest: a reply is over, or waits."""
        self._reply = None

    def at(self, now: float) -> Quality:
        """Return what the last minute was like; nothing before there was any sound."""
        while self._gaps and self._gaps[0][0] < now - _WINDOW_SECONDS:
            self._gaps.popleft()
        while self._drops and self._drops[0] < now - _WINDOW_SECONDS:
            self._drops.popleft()
        is_long = any(late > _LONG_SECONDS for _, late in self._gaps)
        if len(self._gaps) >= _MANY_GAPS or len(self._drops) >= _MANY_DROPS:
            return "poor"
        if self._drops and is_long:
            return "poor"
        if self._gaps or self._drops:
            return "uneven"
        return "good" if self._has_sound else ""


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
