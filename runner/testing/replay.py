"""Replay of a recording on the real engine, on virtual time and without a network.

Recorded inputs (service, microphone, user, tools) are repeated at their times; the
actions of the session and the engine are logged for comparison.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from runner.engine.compose import CallParts, build_call, new_session
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
from runner.recording.format import (
    LOUD,
    MAX_AUDIO_BYTES,
    AudioCounter,
    AudioSummary,
    Entry,
)
from runner.recording.reader import Recording
from runner.testing.impairments import NullMicrophone
from runner.testing.virtual_clock import run_virtually
from runner.tools.tool import ToolOutcome

# Recorded timers fired a little late, between other events, and fire again at those
# times; a timer that did not fire in the recording may be late by this much.
TIMER_SLACK_SECONDS = 0.25
# A loop may fire a timer early by the resolution of its clock, 16 ms on Windows, and
# then again; and recorded times are rounded.
_RESOLUTION_SECONDS = 0.02
# Limit for the end of a call after the last recorded entry.
_ENDING_SECONDS = 120.0
# Microphone audio is merged up to this length: its exact time has no effect.
_MERGED_SECONDS = 1.0
# Merged audio of the agent moves timers earlier by at most this, within the slack.
_MERGED_REPLY_SECONDS = 0.2
# Maximum iterations of the loop until an action results in an event.
_TURNS = 20


def replay(
    recording: Recording, run_tool: RunToolCall | None = None
) -> list[tuple[float, Entry]]:
    """Returns the entries of the current engine for a recorded call.

    With `run_tool`, tools run again and take at least their recorded time; otherwise
    their recorded results are used.
    """
    return run_virtually(_replay(recording, run_tool))


async def _replay(
    recording: Recording, run_tool: RunToolCall | None
) -> list[tuple[float, Entry]]:
    header, loop = recording.header, asyncio.get_running_loop()
    began = loop.time()
    notes, tools = ReplayLog(began), RecordedTools(run_tool)
    wire, speaker = RecordedConnection(notes), RecordedSpeaker(notes)
    parts = CallParts(
        new_session(header.config, header.seed),
        wire.dial,
        NullMicrophone(),
        speaker,
        tools.run,
        observers=(notes.observe,),
        timer_slack=TIMER_SLACK_SECONDS,
    )
    engine, _ = build_call(parts)
    world = _ReplayInputs(engine, notes, wire, speaker, tools)
    running = asyncio.create_task(engine.run())
    try:
        await asyncio.sleep(0)  # the engine starts before the first input
        for at, event in _inputs(recording.entries):
            await _sleep_until(began + at)
            if running.done():
                break
            await world.feed(event)
        if recording.is_complete:
            await asyncio.wait((running,), timeout=_ENDING_SECONDS)
            notes.has_ended = running.done()
        if running.done():
            running.result()  # raises errors of the engine
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return notes.entries()


@dataclass(frozen=True, slots=True)
class _ReplayInputs:
    """Feeds the recorded inputs to an engine through their original interfaces."""

    engine: Engine
    notes: ReplayLog
    wire: RecordedConnection
    speaker: RecordedSpeaker
    tools: RecordedTools

    async def feed(self, event: Event) -> None:
        """Feeds an input; returns when the engine has processed it.

        Inputs that the engine has not requested are skipped: the result of a call that
        it does not run, the end of playback that it does not wait for.
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
    """Returns the due time of the timer that fired at about this time."""
    due = session.deadline
    is_near = due is not None and now < due <= now + _RESOLUTION_SECONDS
    return due if due is not None and is_near else now


def _inputs(entries: Sequence[tuple[float, Entry]]) -> Iterator[tuple[float, Event]]:
    """Yields the inputs in order; audio is merged into larger pieces."""
    stretch = _AudioMerger()
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
    """Returns the ticks without effect, which fired again when they were due."""
    early: set[int] = set()
    following: float | None = None  # time of the next tick
    for index in reversed(range(len(entries))):
        at, entry = entries[index]
        if not isinstance(entry, Tick):
            continue
        is_last = following is None or following - at > _RESOLUTION_SECONDS
        if not is_last and not isinstance(entries[index + 1][1], Action):
            early.add(index)
        following = at
    return early


class _AudioMerger:
    """Merges audio between two other events, separately for caller and agent."""

    def __init__(self) -> None:
        self._mic, self._mic_since = 0, 0.0
        self._reply, self._reply_since = 0, 0.0
        self._audible = 0
        self._reply_id = ""

    def add(self, at: float, audio: AudioSummary) -> Iterator[tuple[float, Event]]:
        """Takes a summary; yields pieces that have reached their length."""
        is_mic_large = self._mic + audio.mic > MAX_AUDIO_BYTES
        is_mic_long = audio.until - self._mic_since > _MERGED_SECONDS
        if self._mic and (is_mic_long or is_mic_large):
            yield self._end_mic()
        if audio.mic:
            self._mic_since = self._mic_since if self._mic else at
            self._mic += audio.mic
        if not audio.received:
            return
        is_other = audio.reply_id != self._reply_id
        is_long = audio.until - self._reply_since > _MERGED_REPLY_SECONDS
        is_large = self._reply + audio.received > MAX_AUDIO_BYTES
        if self._reply and (is_other or is_long or is_large):
            yield self._end_reply()
        self._reply_since = self._reply_since if self._reply else at
        self._reply_id = audio.reply_id
        self._reply += audio.received
        self._audible += audio.audible

    def end(self) -> Iterator[tuple[float, Event]]:
        """Yields what is left."""
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


# The recorded environment of the engine: connection, speaker and tools repeat their
# recorded behavior, and log what the engine does with them.


# The beginning of an encoded audio message.
_AUDIO_PREFIX = encode(InputAudio(b"")).partition('""')[0] + '"'


@dataclass(slots=True)
class ReplayLog:
    """The events and actions of the engine, in the form of a recording.

    Send, play and stop are logged where they arrive, not where they are ordered, so
    that an engine that does not carry out an action is detected.
    """

    began: float
    seen: int = 0  # events so far
    has_ended: bool = True  # False if the engine did not end with its session
    _lines: list[tuple[float, Entry]] = field(default_factory=list)
    _audio: AudioCounter = field(default_factory=AudioCounter)

    def observe(self, at: float, what: Event | Action) -> None:
        """Takes note of an event, or of an action that is not logged on arrival."""
        if isinstance(what, Send | Play | StopPlayback):
            return
        self.seen += isinstance(what, Event)
        self._note(at - self.began, what)

    def arrived(self, what: Send | Play | StopPlayback) -> None:
        """Takes note of an action that was carried out."""
        self._note(asyncio.get_running_loop().time() - self.began, what)

    def entries(self) -> list[tuple[float, Entry]]:
        """Returns all entries; to be called at the end."""
        self._cut()
        lines = list(self._lines)
        if self.has_ended:
            return lines
        return [each for each in lines if not isinstance(each[1], Close)]

    def _note(self, at: float, what: Event | Action) -> None:
        if not self._audio.note(at, what):
            self._cut()
            self._lines.append((at, what))

    def _cut(self) -> None:
        """Takes the audio counted so far."""
        self._audio.cut()
        self._lines += self._audio.finished
        self._audio.finished.clear()


class RecordedConnection:
    """The recorded connection: the engine dials it, the replay opens and ends it."""

    def __init__(self, notes: ReplayLog) -> None:
        self._notes = notes
        self._listener: TransportListener | None = None
        self._answer: asyncio.Future[None] | None = None  # while it is being dialled

    @property
    def is_dialled(self) -> bool:
        """True while the engine waits for a connection."""
        return self._answer is not None and not self._answer.done()

    async def dial(self, token: str | None, listener: TransportListener) -> None:
        """Waits for the recorded outcome of this connection; see `Dial`."""
        del token
        self._listener = listener
        self._answer = asyncio.get_running_loop().create_future()
        await self._answer

    def open(self) -> None:
        """Completes the connection."""
        if self._listener is not None and self._answer and not self._answer.done():
            self._listener.opened(_RecordedTransport(self._notes))
            self._answer.set_result(None)

    def receive(self, message: ServerMessage) -> None:
        """Delivers a message of the service."""
        if self._listener is not None:
            self._listener.received(encode(message))

    def lose(self, event: Disconnected) -> None:
        """Ends the connection, or lets it fail to open."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(
                TransportError(event.reason, status=event.status)
            )
        elif self._listener is not None:
            self._listener.lost(ConnectionLost(event.reason, event.code))
        self._listener = None


class _RecordedTransport:
    """A transport that is always writable and logs what is sent."""

    is_writable = True

    def __init__(self, notes: ReplayLog) -> None:
        self._notes = notes

    def write(self, text: str) -> None:
        size = _audio_size(text)
        if size is None:
            self._notes.arrived(Send(decode_client(text)))
        else:
            self._notes.arrived(Send(InputAudio(bytes(size))))

    async def close(self) -> None:
        """Does nothing."""


def _audio_size(text: str) -> int | None:
    """Returns the bytes of audio in a message; None for other messages."""
    if not text.startswith(_AUDIO_PREFIX):
        return None
    content = text[len(_AUDIO_PREFIX) : text.index('"', len(_AUDIO_PREFIX))]
    return len(content) // 4 * 3 - content[-2:].count("=")


class RecordedSpeaker:
    """Logs what is played; playback ends when the replay says so."""

    pending_ms = 0.0

    def __init__(self, notes: ReplayLog) -> None:
        self._notes = notes
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    def play(self, pcm: bytes) -> None:
        """Notes the audio."""
        self._notes.arrived(Play(pcm))

    def stop(self) -> float:
        """Notes the stop; the recording has the discarded audio."""
        self._notes.arrived(StopPlayback())
        return 0.0

    async def drained(self) -> None:
        """Waits for the recorded end of playback."""
        heard = asyncio.get_running_loop().create_future()
        self._waiting.append(heard)
        await heard

    def drain(self) -> bool:
        """Ends playback; returns True if the engine waited for that."""
        while self._waiting:
            heard = self._waiting.popleft()
            if not heard.done():
                heard.set_result(None)
                return True
        return False


class RecordedTools:
    """Tool calls that end at their recorded times with their recorded results.

    With `run_live` they run again and return their new results, not before those times.
    """

    def __init__(self, run_live: RunToolCall | None) -> None:
        self._run_live = run_live
        self._running: dict[str, asyncio.Future[ToolOutcome]] = {}

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Runs a call; see `runner.engine.engine.RunToolCall`."""
        result: asyncio.Future[ToolOutcome]
        result = asyncio.get_running_loop().create_future()
        self._running[call.call_id] = result
        live = None if self._run_live is None else await self._run_live(call)
        then = await result
        return then if live is None else ToolOutcome(live.text, live.is_error)

    def finish(self, call_id: str, outcome: ToolOutcome) -> bool:
        """Ends a call; returns True if it was running."""
        result = self._running.pop(call_id, None)
        if result is None or result.done():
            return False
        result.set_result(outcome)
        return True
