"""The recorded world around the engine: a line, a speaker and tools that do what they
did then, each when it is told to, and notes of what reaches them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Self

from runner.engine.connection import TransportListener
from runner.errors import ConnectionLost, TransportError
from runner.protocol.client.actions import (
    Action,
    Close,
    Play,
    Send,
    StopPlayback,
)
from runner.protocol.client.events import Disconnected, Event
from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import InputAudio, ServerMessage, ToolCall
from runner.recording.format import Entry
from runner.recording.sounds import AudioCounter
from runner.tasks import RunToolCall
from runner.tools.tool import ToolOutcome

# How the codec begins a message of sound.
_SOUND = encode(InputAudio(b"")).partition('""')[0] + '"'


@dataclass(slots=True)
class ReplayLog:
    """What the engine sees and does, as a recording would have it.

    What is sent, played and stopped is noted where it arrives, not where it is wanted:
    an engine that does not do what its session says is found out.
    """

    began: float
    seen: int = 0  # events so far
    has_ended: bool = True  # whether the engine is over once its session is
    _lines: list[tuple[float, Entry]] = field(default_factory=list)
    _sounds: AudioCounter = field(default_factory=AudioCounter)

    def observe(self, at: float, what: Event | Action) -> None:
        """Take note of what is not noted on arrival."""
        if isinstance(what, Send | Play | StopPlayback):
            return
        self.seen += isinstance(what, Event)
        self._note(at - self.began, what)

    def arrived(self, what: Send | Play | StopPlayback) -> None:
        """Take note of something that was done."""
        self._note(asyncio.get_running_loop().time() - self.began, what)

    def entries(self) -> list[tuple[float, Entry]]:
        """Return everything, once it is over."""
        self._cut()
        lines = list(self._lines)
        if self.has_ended:
            return lines
        return [each for each in lines if not isinstance(each[1], Close)]

    def _note(self, at: float, what: Event | Action) -> None:
        if not self._sounds.note(at, what):
            self._cut()
            self._lines.append((at, what))

    def _cut(self) -> None:
        """Take the sound that was counted up to here."""
        self._sounds.cut()
        self._lines += self._sounds.finished
        self._sounds.finished.clear()


class RecordedConnection:
    """The line of then: dialled by the engine, opened, refused and cut when told to."""

    def __init__(self, notes: ReplayLog) -> None:
        self._notes = notes
        self._listener: TransportListener | None = None
        self._answer: asyncio.Future[None] | None = None  # while it is being dialled

    @property
    def is_dialled(self) -> bool:
        """Whether a connection is being made."""
        return self._answer is not None and not self._answer.done()

    async def dial(self, token: str | None, listener: TransportListener) -> None:
        """Wait for what became of this connection; see `runner.engine.connection.Dial`."""
        del token
        self._listener = listener
        self._answer = asyncio.get_running_loop().create_future()
        await self._answer

    def open(self) -> None:
        """The connection stands."""
        if self._listener is not None and self._answer and not self._answer.done():
            self._listener.opened(_WayOut(self._notes))
            self._answer.set_result(None)

    def receive(self, message: ServerMessage) -> None:
        """The service says something."""
        if self._listener is not None:
            self._listener.received(encode(message))

    def lose(self, event: Disconnected) -> None:
        """The connection is gone, or could not be made."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(
                TransportError(event.reason, status=event.status)
            )
        elif self._listener is not None:
            self._listener.lost(ConnectionLost(event.reason, event.code))
        self._listener = None


class _WayOut:
    """A transport that notes what is sent and takes everything."""

    is_writable = True

    def __init__(self, notes: ReplayLog) -> None:
        self._notes = notes

    def write(self, text: str) -> None:
        size = _sound_size(text)
        if size is None:
            self._notes.arrived(Send(decode_client(text)))
        else:
            self._notes.arrived(Send(InputAudio(bytes(size))))

    async def close(self) -> None:
        """Nothing is held."""


def _sound_size(text: str) -> int | None:
    """Return how much sound a message carries, None of any other: twenty a second."""
    if not text.startswith(_SOUND):
        return None
    content = text[len(_SOUND) : text.index('"', len(_SOUND))]
    return len(content) // 4 * 3 - content[-2:].count("=")


class RecordedSpeaker:
    """Notes what is played; everything was heard when it is told so."""

    pending_ms = 0.0

    def __init__(self, notes: ReplayLog) -> None:
        self._notes = notes
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    def play(self, pcm: bytes) -> None:
        """Note the sound."""
        self._notes.arrived(Play(pcm))

    def stop(self) -> float:
        """Note that it is to be silent; what that threw away, the recording says."""
        self._notes.arrived(StopPlayback())
        return 0.0

    async def drained(self) -> None:
        """Wait: the recording says when."""
        heard = asyncio.get_running_loop().create_future()
        self._waiting.append(heard)
        await heard

    def drain(self) -> bool:
        """Everything was heard; return whether anybody had asked."""
        while self._waiting:
            heard = self._waiting.popleft()
            if not heard.done():
                heard.set_result(None)
                return True
        return False


class RecordedTools:
    """Calls that end when they ended then, with what they came to then.

    With `run_live` they are run again, and end with what they come to now; no sooner.
    """

    def __init__(self, run_live: RunToolCall | None) -> None:
        self._run_live = run_live
        self._running: dict[str, asyncio.Future[ToolOutcome]] = {}

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Run a call; see `runner.engine.engine.RunToolCall`."""
        result: asyncio.Future[ToolOutcome]
        result = asyncio.get_running_loop().create_future()
        self._running[call.call_id] = result
        live = None if self._run_live is None else await self._run_live(call)
        then = await result
        return then if live is None else ToolOutcome(live.text, live.is_error)

    def finish(self, call_id: str, outcome: ToolOutcome) -> bool:
        """End a call; return whether it was running."""
        result = self._running.pop(call_id, None)
        if result is None or result.done():
            return False
        result.set_result(outcome)
        return True
