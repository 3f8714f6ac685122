"""Calls as lists of what happens in them, one for each state of the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from runner.audio.pcm import to_pcm
from runner.cli.views.chat.input import LineEditor
from runner.cli.views.chat.state import ChatState
from runner.engine.controls import ControlState
from runner.protocol.client.actions import (
    Action,
    CancelTool,
    Close,
    Notify,
    Outcome,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.events import (
    Disconnected,
    Event,
    MicFrame,
    PlaybackCut,
    Received,
    Say,
    ToolFinished,
)
from runner.protocol.messages import (
    InputAudio,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    ServerMessage,
    SessionReady,
    ToolCall,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)

Happening: TypeAlias = tuple[float, Event | Action]


def feed(model: ChatState, at: float, what: Event | Action) -> None:
    """Let the model follow the call as the engine's observers do, in their order."""
    model.record.events.observe(at, what)
    model.observe(at, what)


def tone(seconds: float, level: float = 0.3) -> bytes:
    """Return audio that a meter shows: a square wave at this share of full scale."""
    import numpy as np

    samples = np.full(round(seconds * 24_000), level, np.float32)
    samples[::2] *= -1
    return to_pcm(samples)


def received(at: float, *messages: ServerMessage) -> list[Happening]:
    return [(at, Received(message)) for message in messages]


def spoken(at: float, reply_id: str, text: str, step_ms: int = 250) -> list[Happening]:
    """Return a reply whose words and audio arrive at once."""
    words = text.split()
    sound = tone(len(words) * step_ms / 1000)
    return [
        *received(at, ReplyStarted(reply_id), ReplyAudio(sound, reply_id)),
        (at, Play(sound)),
        *received(
            at,
            *(
                TranscriptAgentDelta(f"{word} ", reply_id, start_ms=index * step_ms)
                for index, word in enumerate(words)
            ),
            TranscriptAgent(text, reply_id),
            ReplyDone(reply_id),
        ),
    ]


BEGIN = received(0.0, SessionReady("sess_1"))
QUESTION = received(
    1.0, InputSpeechStopped(), TranscriptUser("Where is my order, number 1234?")
)
ANSWER = "Your order left the warehouse this morning and will be with you tomorrow."
CALL = ToolCall("c1", "lookup_order", {"order_id": "1234", "with_history": True})
RESULT = '{"status": "on its way", "carrier": "Acme Parcel", "days": 1}'
_TOOL = [*QUESTION, (1.2, RunTool(CALL))]


@dataclass(frozen=True, slots=True)
class Scene:
    """A moment of a call: what has happened, and when it is looked at."""

    happenings: list[Happening]
    at: float
    standing: ControlState = ControlState()
    typed: str = ""
    has_keyboard: bool = True
    waits: tuple[float, ...] = ()

    def model(self) -> ChatState:
        model = ChatState(standing=self.standing)
        for at, what in self.happenings:
            feed(model, at, what)
        model.record.waits[:] = self.waits
        return model

    def draft(self) -> LineEditor | None:
        if not self.has_keyboard:
            return None
        return LineEditor(self.standing.is_push_to_talk, self.typed)


SCENES = {
    "connecting": Scene([(0.0, Notify("service: the embedded server"))], 2.0),
    "listening": Scene(BEGIN, 3.0, has_keyboard=False),
    "hearing": Scene(
        [
            *BEGIN,
            *received(1.0, InputSpeechStarted(), TranscriptUserDelta("where is my")),
            (1.1, MicFrame(tone(0.05))),
            (1.1, Send(InputAudio(tone(0.05)))),
        ],
        1.12,
    ),
    "thinking": Scene([*BEGIN, *QUESTION], 1.5),
    "speaking": Scene(
        [*BEGIN, *QUESTION, *spoken(1.8, "r1", ANSWER)], 3.0, waits=(0.8,)
    ),
    "answered": Scene(
        [*BEGIN, *QUESTION, *spoken(1.8, "r1", ANSWER)], 65.0, waits=(0.8,)
    ),
    "interrupted": Scene(
        [
            *BEGIN,
            *QUESTION,
            *spoken(1.8, "r1", ANSWER),
            *received(3.0, InputSpeechStarted()),
            (3.0, StopPlayback()),
            (3.0, PlaybackCut("r1", 1200.0, 1800.0)),
            *received(3.5, TranscriptUserDelta("no, I mean")),
        ],
        3.6,
        waits=(0.8,),
    ),
    "tool": Scene([*BEGIN, *_TOOL], 2.9),
    "tool-done": Scene([*BEGIN, *_TOOL, (1.6, ToolFinished("c1", RESULT))], 1.7),
    "tool-failed": Scene(
        [*BEGIN, *_TOOL, (6.2, ToolFinished("c1", '"took longer than 5 s"', True))],
        6.3,
    ),
    "tool-stopped": Scene([*BEGIN, *_TOOL, (1.6, CancelTool("c1"))], 1.7),
    "reconnecting": Scene([*BEGIN, *QUESTION, (1.5, Disconnected("reset"))], 2.0),
    "muted": Scene(BEGIN, 2.0, ControlState(is_muted=True)),
    "push-to-talk": Scene(
        BEGIN, 2.0, ControlState(is_muted=True, is_push_to_talk=True)
    ),
    "typing": Scene([*BEGIN, (1.0, Say("hello"))], 2.0, typed="and where is my order"),
    "scripts": Scene(
        [
            *BEGIN,
            *received(1.0, TranscriptUser("日本語の注文はどこですか、それと荷物は")),
            *received(1.5, TranscriptUser("e\u0301te\u0301 עברית \x1b[31mred\nline")),
        ],
        2.0,
    ),
    "over": Scene(
        [
            *BEGIN,
            *QUESTION,
            *spoken(1.8, "r1", "Goodbye."),
            (4.0, Close(Outcome.CLEAN, "the agent hung up")),
        ],
        4.0,
    ),
}
