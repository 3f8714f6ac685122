"""Recorded calls for tests, written by the recorder on a simulated clock.

The audio is tones with the rhythm of syllables.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.protocol.client.actions import (
    Action,
    CancelTool,
    Close,
    Connect,
    Notify,
    Outcome,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    MicFrame,
    Received,
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
    SessionEnd,
    SessionEnded,
    SessionReady,
    SessionResume,
    SessionUpdate,
    SessionUpdated,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)
from runner.recording.format import Header, RecordedAgent
from runner.recording.recorder import Recorder

FRAME = 0.05  # seconds of audio at a time, in both directions
WORD = 0.3  # how long each word takes
HEADER = Header(
    agent=RecordedAgent("support", "agents/support.yaml", "0" * 64),
    service="the embedded server",
    config=ClientConfig({"system_prompt": "You are the phone agent of Acme."}),
    seed=7,
    started="2026-01-31T14:05:09+00:00",
    vagent="1.2.3",
    python="3.11.9",
    platform="Linux",
)


def voice(start: float, seconds: float, hertz: float) -> bytes:
    """Returns the audio of a voice at this time; deterministic."""
    samples = array("h")
    for index in range(round(seconds * 24_000)):
        at = start + index / 24_000
        syllable = 0.25 + 0.75 * math.sin(math.pi * (at / WORD % 1)) ** 2
        phrase = 0.65 + 0.35 * math.sin(at * 1.7 + hertz)
        tone = math.sin(2 * math.pi * hertz * at) + 0.4 * math.sin(
            4.02 * math.pi * hertz * at
        )
        samples.append(round(9_000 * syllable * phrase * tone))
    return samples.tobytes()


class SampleCall:
    """Writes a call; each method advances the time."""

    def __init__(self, folder: Path, header: Header = HEADER) -> None:
        self.now = 0.0
        self._recorder = Recorder(folder, header, "version: 1\n", threaded=False)
        self._recorder.__enter__()
        self._replies = 0

    def note(self, *what: Event | Action) -> None:
        for each in what:
            self._recorder.observe(self.now, each)

    def receive(self, *messages: ServerMessage) -> None:
        self.note(*(Received(each) for each in messages))

    def open(self) -> None:
        self.note(Connect())
        self.now += 0.1
        self.note(Connected(), Send(SessionUpdate({"system_prompt": "You are…"})))
        self.now += 0.1
        self.receive(SessionUpdated(), SessionReady("sess_1", resume_token="secret"))

    def quiet(self, seconds: float, *, online: bool = True) -> None:
        for _ in range(round(seconds / FRAME)):
            self._hear(bytes(round(48_000 * FRAME)), online)

    def caller(self, text: str, *, until_stop: float = 0.6) -> None:
        """Says something; the service ends the turn after a delay."""
        self.quiet(0.2)
        words = text.split()
        for index in range(round(len(words) * WORD / FRAME)):
            if index == round(0.4 / FRAME):
                self.receive(InputSpeechStarted())
                self.note(StopPlayback())
            said = index // round(WORD / FRAME)
            if index % round(WORD / FRAME) == 0 and said and index > 8:
                self.receive(TranscriptUserDelta(" ".join(words[:said]), "item_1"))
            self._hear(voice(self.now, FRAME, 190), True)
        self.quiet(until_stop)
        self.receive(InputSpeechStopped(), TranscriptUser(text, "item_1"))

    def reply(
        self, text: str, *, after: float = 0.2, cut_by: str = "", calls: Any = ()
    ) -> None:
        """Answers; the caller interrupts after a second."""
        self.quiet(after)
        self._replies += 1
        name, words = f"reply_{self._replies}", text.split()
        self.receive(ReplyStarted(name, f"msg_{self._replies}"))
        self.receive(*calls)
        self.note(*(RunTool(call) for call in calls))
        length = len(words) * WORD
        for index, word in enumerate(words):
            times = (round(1000 * index * WORD), round(1000 * (index + 1) * WORD))
            self.receive(TranscriptAgentDelta(f"{word} ", name, "msg", *times))
        frames = round(length / FRAME)
        for index in range(frames):
            sound = voice(self.now, FRAME, 120)
            self.note(Received(ReplyAudio(sound, name)), Play(sound))
            speaks = bool(cut_by) and index * FRAME >= 0.6
            self._hear(
                voice(self.now, FRAME, 190) if speaks else bytes(len(sound)), True
            )
            if speaks and index * FRAME >= 1.2:
                self._cut(name, " ".join(words[: index * 50 // 300]), cut_by)
                return
        self.receive(TranscriptAgent(text, name), ReplyDone(name))

    def tool(self, call: ToolCall, result: str, seconds: float, error: bool) -> None:
        """Ends a running tool call and sends its result."""
        self.quiet(seconds)
        self.note(ToolFinished(call.call_id, result, error))
        self.note(Send(ToolResult(call.call_id, result, error)))

    def drop(self, seconds: float) -> None:
        """Drops the connection for a while, during speech of the caller."""
        self.note(Disconnected("the connection was reset", 1006), StopPlayback())
        self.note(Notify("the line dropped: connecting again"))
        self.quiet(seconds / 2, online=False)
        self.note(Connect("token"))
        self.quiet(seconds / 2, online=False)
        self.note(Connected(), Send(SessionResume("sess_1")))
        self.receive(SessionReady("sess_1"))

    def end(self, reason: str = "you hung up") -> None:
        self.note(HangUp(reason), StopPlayback(), Send(SessionEnd()))
        self.now += 0.1
        self.receive(SessionEnded(self.now))
        self.note(Close(Outcome.CLEAN, reason))
        self._recorder.close()

    def _cut(self, name: str, heard: str, cut_by: str) -> None:
        self.receive(InputSpeechStarted())
        self.note(StopPlayback())
        dead = voice(self.now, FRAME, 120)
        self.receive(
            ReplyAudio(dead, name),
            TranscriptAgent(heard, name, interrupted=True),
            ReplyDone(name, "interrupted"),
        )
        for _ in self._frames(0.6):
            self._hear(voice(self.now, FRAME, 190), True)
        self.quiet(0.6)
        self.receive(InputSpeechStopped(), TranscriptUser(cut_by, "item_2"))

    def _hear(self, pcm: bytes, online: bool) -> None:
        self.now = round(self.now + FRAME, 6)
        self.note(MicFrame(pcm), *([Send(InputAudio(pcm))] if online else []))

    @staticmethod
    def _frames(seconds: float) -> Iterator[int]:
        return iter(range(round(seconds / FRAME)))


ORDER = ToolCall("call_1", "lookup_order", {"order_id": "1234"})
WEATHER = ToolCall("call_2", "get_weather", {"city": "London"})
PARCEL = ToolCall("call_3", "track_parcel", {"number": "ZX-77", "detail": True})


def write_order_call(folder: Path) -> Path:
    """Writes a call with a tool, a barge-in, a drop, and a tool that fails."""
    call = SampleCall(folder)
    call.open()
    call.reply("Hi, this is Acme. How can I help?", after=0.3)
    call.caller("Where is my order one two three four?")
    call.reply("Let me look that up.", calls=[ORDER, WEATHER])
    call.note(CancelTool("call_2"))
    call.tool(ORDER, '{"status": "shipped", "carrier": "<b>DHL</b>"}', 0.7, False)
    call.reply(
        "Your order has been shipped with DHL and it should arrive on Tuesday morning.",
        cut_by="Stop, that is enough.",
    )
    call.reply("All right.", after=0.4)
    call.drop(2.0)
    call.caller("Where is the parcel now?</script><script>alert(1)</script>\x1b[2J")
    call.reply("One moment.", calls=[PARCEL])
    call.tool(PARCEL, '{"error": "the service does not answer"}', 1.2, True)
    call.reply("I cannot see where it is. Is there anything else?")
    call.caller("No, thank you. Goodbye!")
    call.reply("Goodbye!")
    call.quiet(0.6)
    call.end()
    return folder
