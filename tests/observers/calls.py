"""A short call as the engine reports it to its observers."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from runner.observers.events import CallEvent, CallInterpreter, Handler
from runner.protocol.client.actions import (
    Action,
    Close,
    Connect,
    Outcome,
    Play,
    RunTool,
    Send,
)
from runner.protocol.client.events import (
    Disconnected,
    Event,
    MicFrame,
    Received,
    ToolFinished,
)
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SessionResume,
    ToolCall,
    TranscriptAgent,
    TranscriptUser,
)

VOICE = array(
    "h", [round(8000 * math.sin(each / 10)) for each in range(1200)]
).tobytes()  # 50 ms
QUIET = bytes(2400)
CALL = ToolCall("call_1", "lookup", {"order": "4711"})
GREETING: Sequence[tuple[float, Event | Action]] = (
    (0.0, Connect()),
    (0.5, Received(SessionReady("sess_1", resume_token="token-of-sess-1"))),
    (1.0, Received(ReplyStarted("r1"))),
    (1.5, Received(TranscriptAgent("Hello.", "r1"))),
    (1.5, Received(ReplyDone("r1"))),
)
QUESTION: Sequence[tuple[float, Event | Action]] = (
    (2.0, Received(InputSpeechStarted())),
    (2.5, MicFrame(VOICE)),
    (3.0, MicFrame(QUIET)),
    (3.25, Received(InputSpeechStopped())),
    (3.25, Received(TranscriptUser("Where is my order?"))),
    (3.5, RunTool(CALL)),
    (4.0, ToolFinished("call_1", '{"at":"home"}')),
    (4.25, Received(ReplyStarted("r2"))),
    (4.25, Play(QUIET)),
    (4.5, Play(VOICE)),
    (5.0, Received(TranscriptAgent("It is at", "r2", interrupted=True))),
    (5.0, Received(ReplyDone("r2", "interrupted"))),
)
OUTAGE: Sequence[tuple[float, Event | Action]] = (
    (6.0, Disconnected("the line was lost")),
    (6.5, Disconnected("refused")),
    (7.5, Send(SessionResume("sess_1"))),
    (8.0, Received(SessionReady("sess_1"))),
)
END: Sequence[tuple[float, Event | Action]] = (
    (9.0, Close(Outcome.CLEAN, "the agent hung up")),
)


def watch(
    happened: Sequence[tuple[float, Event | Action]], *handlers: Handler
) -> list[CallEvent]:
    """Interpret a call for handlers; return its events."""
    events: list[CallEvent] = []
    interpreter = CallInterpreter(events.append, *handlers)
    for at, what in happened:
        interpreter.observe(at, what)
    return events
