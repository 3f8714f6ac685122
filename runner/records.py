"""What a session leaves behind: the conversation, its waits, its calls, its losses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from runner.audio.pcm import is_louder
from runner.protocol.client.actions import Action, Announce, Play, RunTool, Send
from runner.protocol.client.events import (
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
    TranscriptAgent,
    TranscriptUser,
)

# Sound above this counts as a voice; room noise of a laptop lies near -60 dBFS, quiet
# speech above -40.
VOICE_DBFS = -45.0
# Four seconds of 20 ms: longer than any service is known to wait before a turn is over.
_LATEST_FRAMES = 200


@dataclass(frozen=True, slots=True)
class Words:
    """What one side said; `interrupted` when it was cut off."""

    at: float
    speaker: Literal["caller", "agent"]
    text: str
    interrupted: bool = False


@dataclass(slots=True)
class CallRecord:
    """One tool call; `ended` is None while it runs."""

    name: str
    began: float
    ended: float | None = None
    is_error: bool = False


@dataclass(slots=True)
class Record:
    """An observer of the engine; times are seconds on the engine's clock.

    `waits` are the seconds from the last sound of the caller's voice to the first
    audible sound of the agent's answer, turn by turn.
    """

    words: list[Words] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    calls: dict[str, CallRecord] = field(default_factory=dict)
    interruptions: int = 0
    # What the microphone gave last: looked into only when a turn is over.
    _heard: deque[tuple[float, bytes]] = field(
        default_factory=lambda: deque(maxlen=_LATEST_FRAMES)
    )
    _awaiting_sound_since: float | None = None

    def observe(self, at: float, what: Event | Action) -> None:
        """Take note of an event or an action."""
        match what:
            case MicFrame(pcm):
                self._heard.append((at, pcm))
            case Play(pcm):
                self._note_sound(at, pcm)
            case Send() | Received(ReplyAudio()):
                pass  # as often as the two above: not to be searched for below
            case Received(message):
                self._note_message(at, message)
            case Announce(text):
                self.words.append(Words(at, "agent", text))
            case Say(text):
                # Of words that were typed no transcript comes.
                self.words.append(Words(at, "caller", text))
            case RunTool(call):
                self.calls[call.call_id] = CallRecord(call.name, at)
            case ToolFinished(call_id, _, is_error) if call_id in self.calls:
                self.calls[call_id].ended = at
                self.calls[call_id].is_error = is_error
            case _:
                pass

    def _note_sound(self, at: float, pcm: bytes) -> None:
        since = self._awaiting_sound_since
        if since is not None and is_louder(pcm, VOICE_DBFS):
            self.waits.append(at - since)
            self._awaiting_sound_since = None

    def _last_voice(self, otherwise: float) -> float:
        """Return when the caller's voice was last heard."""
        for at, pcm in reversed(self._heard):
            if is_louder(pcm, VOICE_DBFS):
                return at
        return otherwise

    def _note_message(self, at: float, message: object) -> None:
        match message:
            case InputSpeechStopped():
                self._awaiting_sound_since = self._last_voice(at)
            case InputSpeechStarted():
                self._awaiting_sound_since = None
            case TranscriptUser(text=text):
                self.words.append(Words(at, "caller", text))
            case TranscriptAgent(text=text, interrupted=interrupted):
                self.words.append(Words(at, "agent", text, interrupted))
            case ReplyDone(status="interrupted"):
                self.interruptions += 1
            case _:
                pass
