"""Plays a recording back to the real engine, on virtual time and with no network.

What came from outside then (the service, the microphone, the person, tools) comes again
at its time; what the session and the engine make of it is theirs, and noted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Self

from runner.engine.connection import TransportListener
from runner.engine.engine import Engine, RunToolCall
from runner.errors import ConnectionLost, TransportError
from runner.protocol.client.actions import (
    Action,
    Close,
    Play,
    Send,
    StopPlayback,
)
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    MicFrame,
    PlaybackDrained,
    Received,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import InputAudio, ReplyAudio, ServerMessage, ToolCall
from runner.recording.format import LOUD, AudioCounter, AudioSummary, Entry
from runner.recording.reader import Recording
from runner.testing.impairments import NullMicrophone
from runner.testing.virtual_clock import run_virtually
from runner.tools.tool import ToolOutcome

# Timers of then rang a little late, as loops do, and did so between other events. They
# ring again when they rang; one that did not ring then may be so late.
TIMER_SLACK_SECONDS = 0.25
# A loop may ring a timer early by its clock's resolution, 16 ms on Windows, and then
# again; and recorded times are rounded.
_RESOLUTION_SECONDS = 0.02
# How long the end of a call may take after the last thing that was recorded.
_ENDING_SECONDS = 120.0
# The microphone's sound is merged up to this length: when it comes changes nothing.
_MERGED_SECONDS = 1.0
# The agent's sound moves timers: earlier by this at most, which the slack allows for.
_MERGED_REPLY_SECONDS = 0.2
# How many turns of the loop an order takes at most to become an event.
_TURNS = 20


def replay(
    recording: Recording, run_tool: RunToolCall | None = None
) -> list[tuple[float, Entry]]:
    """Return what the engine of today does with a recorded call, as entries.

    With `run_tool`, tools are run again, and take at least as long as they did; else
    their recorded results come again.
    """
    return run_virtually(_replay(recording, run_tool))


async def _replay(
    recording: Recording, run_tool: RunToolCall | None
) -> list[tuple[float, Entry]]:
    header, loop = recording.header, asyncio.get_running_loop()
    began = loop.time()
    notes, tools = ReplayLog(began), RecordedTools(run_tool)
    wire, speaker = RecordedConnection(notes), RecordedSpeaker(notes)
    engine = Engine(
        ClientSession(header.config, jitter=Random(header.seed).random),
        wire.dial,
        microphone=NullMicrophone(),
        speaker=speaker,
        run_tool=tools.run,
        observers=(notes.observe,),
        timer_slack=TIMER_SLACK_SECONDS,
    )
    world = _World(engine, notes, wire, speaker, tools)
    running = asyncio.create_task(engine.run())
    try:
        await asyncio.sleep(0)  # it begins, as it did before anything came
        for at, event in _inputs(recording.entries):
            await _sleep_until(began + at)
            if running.done():
                break
            await world.let(event)
        if recording.is_complete:
            await asyncio.wait((running,), timeout=_ENDING_SECONDS)
            notes.has_ended = running.done()
        if running.done():
            running.result()  # raises what is a bug of the engine's
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return notes.entries()


@dataclass(frozen=True, slots=True)
class _World:
    """Lets happen to an engine what happened then, the way it came then."""

    engine: Engine
    notes: ReplayLog
    wire: RecordedConnection
    speaker: RecordedSpeaker
    tools: RecordedTools

    async def let(self, event: Event) -> None:
        """Let something happen; return when the engine has seen it.

        What today's engine has not asked for does not come: the result of a call that
        it does not run, the end of sound that it does not wait for.
        """
        before = self.notes.seen
        match event:
            case Connected():
                await _turn_until(lambda: self.wire.is_dialled)
                self.wire.open()
            case Disconnected() if not event.unsent:
                self.wire.lose(event)
                await _turn_until(lambda: self.notes.seen > before)
            case Received(message) if not isinstance(message, ReplyAudio):
                self.wire.receive(message)
            case ToolFinished(call_id, text, is_error):
                if self.tools.finish(call_id, ToolOutcome(text, is_error)):
                    await _turn_until(lambda: self.notes.seen > before)
            case PlaybackDrained():
                if self.speaker.drain():
                    await _turn_until(lambda: self.notes.seen > before)
            case Tick():
                now = asyncio.get_running_loop().time()
                await _sleep_until(_due(self.engine.session, now))
                self.engine.post(event)
            case _:
                self.engine.post(event)


async def _turn_until(happened: Callable[[], bool]) -> None:
    for _ in range(_TURNS):
        if happened():
            return
        await asyncio.sleep(0)


async def _sleep_until(due: float) -> None:
    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


def _due(session: ClientSession, now: float) -> float:
    """Return when the timer is due that rang at about this time."""
    due = session.deadline
    is_near = due is not None and now < due <= now + _RESOLUTION_SECONDS
    return due if due is not None and is_near else now


def _inputs(entries: Sequence[tuple[float, Entry]]) -> Iterator[tuple[float, Event]]:
    """Yield what came from outside, in order; sound in larger pieces than it came."""
    stretch = _Stretch()
    early = _early_ticks(entries)
    for index, (at, entry) in enumerate(entries):
        if isinstance(entry, AudioSummary):
            yield from stretch.add(at, entry)
            continue
        yield from stretch.end()
        if isinstance(entry, Event) and index not in early:
            yield at, entry
    yield from stretch.end()


def _early_ticks(entries: Sequence[tuple[float, Entry]]) -> set[int]:
    """Return which ticks had no effect because they rang again when they were due."""
    early: set[int] = set()
    following: float | None = None  # when the next tick rang
    for index in reversed(range(len(entries))):
        at, entry = entries[index]
        if not isinstance(entry, Tick):
            continue
        is_last = following is None or following - at > _RESOLUTION_SECONDS
        if not is_last and not isinstance(entries[index + 1][1], Action):
            early.add(index)
        following = at
    return early


class _Stretch:
    """Sound between two other events, the caller's and the agent's each by itself."""

    def __init__(self) -> None:
        self._mic, self._mic_since = 0, 0.0
        self._reply, self._reply_since = 0, 0.0
        self._audible = 0
        self._reply_id = ""

    def add(self, at: float, sound: AudioSummary) -> Iterator[tuple[float, Event]]:
        """Take in a line; yield what has become large enough."""
        if self._mic and sound.until - self._mic_since > _MERGED_SECONDS:
            yield self._end_mic()
        if sound.mic:
            self._mic_since = self._mic_since if self._mic else at
            self._mic += sound.mic
        if not sound.received:
            return
        is_other = sound.reply_id != self._reply_id
        is_long = sound.until - self._reply_since > _MERGED_REPLY_SECONDS
        if self._reply and (is_other or is_long):
            yield self._end_reply()
        self._reply_since = self._reply_since if self._reply else at
        self._reply_id = sound.reply_id
        self._reply += sound.received
        self._audible += sound.audible

    def end(self) -> Iterator[tuple[float, Event]]:
        """Yield what is left."""
        if self._mic:
            yield self._end_mic()
        if self._reply:
            yield self._end_reply()

    def _end_mic(self) -> tuple[float, Event]:
        pcm, self._mic = bytes(self._mic), 0
        return self._mic_since, MicFrame(pcm)

    def _end_reply(self) -> tuple[float, Event]:
        loud = LOUD * (self._audible // 2)
        pcm = loud + bytes(self._reply - len(loud))
        self._reply = self._audible = 0
        return self._reply_since, Received(ReplyAudio(pcm, self._reply_id))


# The recorded world around the engine: a line, a speaker and tools that do what they
# did then, each when it is told to, and notes of what reaches them.


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
        """Waits for the recorded outcome of this connection; see `Dial`."""
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
