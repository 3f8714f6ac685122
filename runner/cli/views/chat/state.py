"""The state of a call that the chat view shows. Pure: times come with the input.

| state        | from                             | to                               |
|--------------|----------------------------------|----------------------------------|
| connecting   | start of the call                | session.ready                    |
| reconnecting | loss of the connection           | session.ready                    |
| hearing you  | input.speech.started             | input.speech.stopped             |
| speaking     | agent audio is played            | it was played or is stopped      |
| tool NAME    | a tool starts                    | it ended                         |
| thinking     | the caller or a tool is finished | agent audio, reply.done          |
| listening    | none of these                    |                                  |

The first state of this list that applies is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, TypeAlias

from runner.audio.devices import BYTES_PER_MS, BYTES_PER_SECOND
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

STEPS = 8
# The lowest visible step is above room noise, the highest at loud speech.
MIN_DBFS = -50.0
MAX_DBFS = -10.0
_SLICE_BYTES = 50 * BYTES_PER_MS
# Older microphone audio is not shown: the device has stopped.
_MAX_AGE_SECONDS = 0.5


def step(dbfs: float) -> int:
    """Returns the meter step of a level, from 0 (quiet) to `STEPS`."""
    share = (dbfs - MIN_DBFS) / (MAX_DBFS - MIN_DBFS)
    return max(0, min(STEPS, round(share * STEPS)))


@dataclass(slots=True)
class InputLevel:
    """The microphone level; it is computed only when it is read."""

    _pcm: bytes = b""
    _at: float = -1e9

    def update(self, at: float, pcm: bytes) -> None:
        """Stores the latest frame."""
        self._at, self._pcm = at, pcm

    def at(self, now: float) -> int:
        """Returns the step that the meter shows."""
        if now - self._at > _MAX_AGE_SECONDS:
            return 0
        return step(loudness(self._pcm))


@dataclass(slots=True)
class PlaybackLevel:
    """The level of the agent audio being played; `ends` is when playback ends.

    Audio arrives faster than it is played, so each slice has its own time. Times are
    seconds on the engine's clock.
    """

    ends: float = 0.0
    _slices: deque[tuple[float, bytes]] = field(default_factory=deque)

    def play(self, at: float, pcm: bytes) -> float:
        """Adds audio passed to the speaker; returns when its playback starts."""
        begins = max(at, self.ends)
        for start in range(0, len(pcm), _SLICE_BYTES):
            piece = pcm[start : start + _SLICE_BYTES]
            self._slices.append((begins + start / BYTES_PER_SECOND, piece))
        self.ends = begins + len(pcm) / BYTES_PER_SECOND
        self._forget(at)
        return begins

    def stop(self, at: float) -> None:
        """Discards audio that was not played yet."""
        self.ends = min(self.ends, at)
        self._slices.clear()

    def is_playing(self, now: float) -> bool:
        """Returns True if agent audio is being played."""
        return now < self.ends

    def at(self, now: float) -> int:
        """Returns the step that the meter shows."""
        self._forget(now)
        if not self._slices or now >= self.ends or self._slices[0][0] > now:
            return 0
        level = loudness(self._slices[0][1])
        return 0 if level <= SILENCE_DBFS else step(level)

    def _forget(self, now: float) -> None:
        # The latest slice that has started is being played.
        while len(self._slices) > 1 and self._slices[1][0] <= now:
            self._slices.popleft()


Quality: TypeAlias = Literal["", "good", "uneven", "poor"]

# Quality covers this period.
_WINDOW_SECONDS = 60.0
# Audio that arrives this long after the previous audio ended is a gap; the speaker's
# buffer (40 to 120 ms) covers shorter delays.
MIN_GAP_SECONDS = 0.06
# A clearly audible gap.
_LONG_GAP_SECONDS = 0.25
# From these counts on the quality is poor.
_MANY_GAPS = 4
_MANY_DROPS = 2


@dataclass(slots=True)
class ConnectionQuality:
    """Connection quality from late audio and lost connections.

    Times are seconds on the engine's clock.
    """

    _gaps: deque[tuple[float, float]] = field(default_factory=deque)
    _drops: deque[float] = field(default_factory=deque)
    _reply: str | None = None
    _has_audio: bool = False

    def arrive(self, at: float, reply_id: str, plays_until: float) -> None:
        """Notes the arrival of audio; `plays_until` is when earlier audio ends."""
        is_first = reply_id != self._reply
        self._reply, self._has_audio = reply_id, True
        late = at - plays_until
        if not is_first and late > MIN_GAP_SECONDS:
            self._gaps.append((at, late))

    def drop(self, at: float) -> None:
        """Notes the loss of the connection."""
        self._drops.append(at)
        self._reply = None  # the delay of the next audio has a known reason

    def pause(self) -> None:
        """Notes that a pause in the audio is expected: a reply ended or waits."""
        self._reply = None

    def at(self, now: float) -> Quality:
        """Returns the quality of the last minute; empty before the first audio."""
        while self._gaps and self._gaps[0][0] < now - _WINDOW_SECONDS:
            self._gaps.popleft()
        while self._drops and self._drops[0] < now - _WINDOW_SECONDS:
            self._drops.popleft()
        is_long = any(late > _LONG_GAP_SECONDS for _, late in self._gaps)
        if len(self._gaps) >= _MANY_GAPS or len(self._drops) >= _MANY_DROPS:
            return "poor"
        if self._drops and is_long:
            return "poor"
        if self._gaps or self._drops:
            return "uneven"
        return "good" if self._has_audio else ""


# The shortest time between two frames.
FRAME_SECONDS = 0.05


class ConnectionStatus(Enum):
    """The state of the connection."""

    CONNECTING = "connecting"
    LIVE = "live"
    BROKEN = "reconnecting"
    CLOSED = "over"


class Awaiting(Enum):
    """The side that the call waits for."""

    OPEN = auto()
    CALLER = auto()  # the caller speaks
    AGENT = auto()  # the agent has not started to answer


@dataclass(slots=True)
class ChatState:
    """The state that is drawn. It follows the events of `record`, which is fed first.

    `observe` gets audio in addition, for the meters and for the words being played.
    """

    record: CallStats = field(default_factory=CallStats)
    standing: ControlState = field(default_factory=ControlState)
    transcript: Transcript = field(default_factory=lambda: Transcript(printable))
    playback: PlaybackLevel = field(default_factory=PlaybackLevel)
    caller: InputLevel = field(default_factory=InputLevel)
    quality: ConnectionQuality = field(default_factory=ConnectionQuality)
    link: ConnectionStatus = ConnectionStatus.CONNECTING
    floor: Awaiting = Awaiting.OPEN
    has_microphone: bool = True
    has_speaker: bool = True
    # Time of the first event; None before it.
    began: float | None = None
    _reply_id: str = ""

    def __post_init__(self) -> None:
        """Subscribes to the events of the call."""
        self.record.events.subscribe(self.note)
        self.record.events.subscribe(self.transcript.follow)

    def observe(self, at: float, what: Event | Action) -> None:
        """Processes audio; everything else arrives as call events."""
        if self.began is None:
            self.began = at
        match what:
            case MicFrame(pcm):
                self.caller.update(at, pcm)
            case Received(ReplyAudio(reply_id=reply_id)):
                self._reply_id = reply_id
                self.quality.arrive(at, reply_id, self.playback.ends)
            case Play(pcm):
                self._stop_waiting()
                begins = self.playback.play(at, pcm)
                self.transcript.note_playback(
                    self._reply_id, begins, self.playback.ends
                )
            case _:
                pass

    def note(self, event: CallEvent) -> None:
        """Processes an event."""
        match event:
            case SessionOpened() | ConnectionLost() | CallEnded():
                self._note_link(event)
            case PlaybackStopped(at):
                self.playback.stop(at)
            case CallerSpeechStarted():
                self.floor = Awaiting.CALLER
            case CallerSpeechStopped() | FinalTranscript(source="typed"):
                self.floor = Awaiting.AGENT
            case ToolEnded(outcome="ok" | "error"):
                self.floor = Awaiting.AGENT
            case FinalTranscript(source="announcement", reply_id=reply_id):
                self._reply_id = reply_id
            case AgentReplyEnded():
                self._stop_waiting()
                self.quality.pause()
            case ToolRequested():
                self.quality.pause()
            case _:
                pass

    def _stop_waiting(self) -> None:
        if self.floor is Awaiting.AGENT:
            self.floor = Awaiting.OPEN

    def state(self, now: float) -> str:
        """Returns the state in one or two words."""
        if self.link is not ConnectionStatus.LIVE:
            return str(self.link.value)
        if self.floor is Awaiting.CALLER and not self.standing.is_muted:
            return "hearing you"
        doing = self._doing(now)
        if not self.standing.is_muted:
            return doing or "listening"
        return f"{doing}, muted" if doing else "muted"

    def elapsed(self, now: float) -> float:
        """Returns the length of the call so far in seconds."""
        return 0.0 if self.began is None else max(0.0, now - self.began)

    def next_change(self, now: float) -> float:
        """Returns the time of the next redraw without new events."""
        replies = [
            each for each in self.transcript.open if isinstance(each, AgentMessageEntry)
        ]
        if self.playback.is_playing(now) or any(each.ends > now for each in replies):
            return now + FRAME_SECONDS
        due = (now if self.began is None else self.began) + int(self.elapsed(now)) + 1
        return due if due > now else due + 1.0  # the elapsed second was rounded down

    def _doing(self, now: float) -> str:
        if self.playback.is_playing(now):
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
    """Returns the state of a new call; `clean` makes text safe to show."""
    return ChatState(record, transcript=Transcript(clean))
