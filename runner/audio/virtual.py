"""Devices with nothing behind them that keep real time: no input, no output."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol, Self

from runner.audio.devices import (
    FRAME_BYTES,
    FRAME_MS,
    SAMPLE_RATE,
    Clock,
    LoopClock,
    Microphone,
    Ticker,
)
from runner.audio.pcm import duration_ms
from runner.audio.playback import PlaybackBuffer, PlaybackCounts
from runner.errors import AudioError, AudioFileError

# Microphones into which a program speaks: the way of `--say` and of typed words.


class _Line:
    """One line on its way out; `said` is resolved with the time of its last sample."""

    def __init__(self, pcm: bytes) -> None:
        self.rest = memoryview(pcm)
        self.said: asyncio.Future[float] = asyncio.get_running_loop().create_future()


class _Lines:
    """Lines on their way out, one after another, each beginning a frame of its own."""

    def __init__(self) -> None:
        self.is_closed = False
        self._lines: deque[_Line] = deque()

    def __len__(self) -> int:
        return len(self._lines)

    async def say(self, pcm: bytes) -> float:
        """Queue a line; return the time of its last sample once that went out."""
        if self.is_closed:
            raise AudioError("the microphone takes no more lines: its input is closed")
        line = _Line(pcm)
        self._lines.append(line)
        return await line.said

    def take(self, now: float, size: int) -> bytes | None:
        """Return the frame of this size that is due now; None when nobody speaks."""
        while self._lines and self._lines[0].said.done():  # cancelled
            self._lines.popleft()
        line = self._lines[0] if self._lines else None
        if line is None:
            return None
        frame = bytes(line.rest[:size])
        line.rest = line.rest[size:]
        missing = bytes(size - len(frame))
        if not line.rest:
            line.said.set_result(now - duration_ms(missing) / 1000)
            self._lines.popleft()
        return frame + missing

    def close(self) -> None:
        """Give up what has not gone out."""
        self.is_closed = True
        while self._lines:
            line = self._lines.popleft()
            if not line.said.done():
                line.said.set_exception(
                    AudioError("the call ended before the line was spoken")
                )


class InjectedMicrophone:
    """Gives silence at real-time pace, and the lines it is handed, one after another.

    Each line begins a frame of its own. A line whose `say` is cancelled breaks off.
    """

    def __init__(self, *, pace: Clock | None = None) -> None:
        self.dropped_ms = 0.0
        self._pace = pace or LoopClock()
        self._lines = _Lines()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._lines.close()

    async def say(self, pcm: bytes) -> float:
        """Speak 24 kHz PCM16 after what is queued; return when its last sample went.

        The time is the pace's clock at that sample, not at the end of its frame.
        Raises AudioError when the input is closed or the call ends first.
        """
        return await self._lines.say(pcm)

    def close_input(self) -> None:
        """End the frames once the lines that are queued have gone out."""
        self._lines.is_closed = True

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield frames of speech or silence until the input is closed."""
        ticker = Ticker(self._pace, FRAME_MS / 1000)
        while self._lines or not self._lines.is_closed:
            now = await ticker.tick()
            yield self._lines.take(now, FRAME_BYTES) or bytes(FRAME_BYTES)


class MixedMicrophone:
    """A microphone of a person who also types: a line takes the place of the sound.

    Lines go out at the pace of the microphone's own frames. Entering and leaving open
    and close the microphone that is shared.
    """

    def __init__(self, microphone: Microphone, *, pace: Clock | None = None) -> None:
        self._microphone = microphone
        self._pace = pace or LoopClock()
        self._lines = _Lines()

    @property
    def dropped_ms(self) -> float:
        """How much of the microphone's sound was not taken in time."""
        return self._microphone.dropped_ms

    async def __aenter__(self) -> Self:
        await self._microphone.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._lines.close()
        await self._microphone.__aexit__(*exc)

    async def say(self, pcm: bytes) -> float:
        """Speak 24 kHz PCM16 in place of what is recorded; return when it went out.

        Raises AudioError when the call ends first.
        """
        return await self._lines.say(pcm)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what is recorded, or a line while there is one."""
        async for frame in self._microphone.frames():
            yield self._lines.take(self._pace.now(), len(frame)) or frame


# The speaker of a machine without one: plays by the clock, into a recording or not.


_STEP = 0.05  # seconds between two writes to a recording


class AudioSink(Protocol):
    """Takes what was played, silence included."""

    def open(self) -> None:
        """Make ready to write; raises AudioFileError before anything was played."""
        ...

    def write(self, pcm: bytes) -> None:
        """Append; raises AudioFileError, for example when the disk is full."""
        ...

    def close(self) -> None: ...


class ClockedSpeaker:
    """Plays its buffer exactly as the clock goes on.

    The clock is read when something happens (`play`, `stop`, a question), and what was
    due since the last time is taken from the buffer then: a sound card would have
    played it meanwhile, whatever this program was doing. What was taken goes to the
    recording, which therefore is as long as the time that the speaker was open.
    """

    def __init__(
        self,
        recording: AudioSink | None = None,
        *,
        begins_at: Callable[[], float | None] | None = None,
        pace: Clock | None = None,
    ) -> None:
        """Play from the entering on, or from `begins_at`, asked until it knows.

        What is played before that begins at once.
        """
        self._recording = recording
        self._begins_at = begins_at
        self._pace = pace or LoopClock()
        self._buffer = PlaybackBuffer()
        self._started_at: float | None = None
        self._position = 0  # samples since the start
        self._writing: asyncio.Task[None] | None = None
        # The recording's failure, told at the end: a full disk must not end a call.
        self._failure: AudioFileError | None = None

    @property
    def counts(self) -> PlaybackCounts:
        """What was played, cleared and dropped."""
        return self._buffer.counts

    @property
    def started_at(self) -> float | None:
        """When the first sample was played, on the pace's clock; None before."""
        return self._started_at

    async def __aenter__(self) -> Self:
        if self._recording is not None:
            self._recording.open()
        if self._begins_at is None:
            self._started_at = self._pace.now()
        if self._recording is not None:
            self._writing = asyncio.create_task(self._write_on(), name="recording")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        self._advance()
        if self._recording is not None:
            self._recording.close()
        if self._failure is not None and exc[0] is None:
            raise self._failure

    def play(self, pcm: bytes) -> None:
        """Append sound to what is being played."""
        self._advance()
        if self._started_at is None:
            self._started_at = self._pace.now()
        self._buffer.write(pcm)

    def stop(self) -> float:
        """Drop what has not been played yet, but for a short fade; say how much."""
        self._advance()
        return self._buffer.clear()

    @property
    def pending_ms(self) -> float:
        """How much is yet to be played, in milliseconds."""
        self._advance()
        return self._buffer.pending_ms

    async def drained(self) -> None:
        """Return once everything was played or stopped."""
        while (pending := self.pending_ms) > 0:
            # In steps, because `stop` and `play` move the end.
            await self._pace.wait_until(
                self._pace.now() + min(pending / 1000, _STEP) + 1 / SAMPLE_RATE
            )

    def _advance(self) -> None:
        """Play what has become due."""
        if self._started_at is None and self._begins_at is not None:
            self._started_at = self._begins_at()
        if self._started_at is None:
            return
        due = round((self._pace.now() - self._started_at) * SAMPLE_RATE)
        while self._position < due:
            step = min(due - self._position, SAMPLE_RATE)
            self._record(self._buffer.read(2 * step))
            self._position += step

    def _record(self, pcm: bytes) -> None:
        if self._recording is None or self._failure is not None:
            return
        try:
            self._recording.write(pcm)
        except AudioFileError as failure:
            self._failure = failure

    async def _write_on(self) -> None:
        """Keep the recording up to date while nobody plays anything."""
        ticker = Ticker(self._pace, _STEP)
        while True:
            await ticker.tick()
            self._advance()


class SilentMicrophone:
    """Gives silence at real-time pace for as long as it is asked; `--input none`."""

    def __init__(self, *, pace: Clock | None = None) -> None:
        self.dropped_ms = 0.0
        self._pace = pace or LoopClock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield silent frames without end."""
        ticker = Ticker(self._pace, FRAME_MS / 1000)
        while True:
            await ticker.tick()
            yield bytes(FRAME_BYTES)


class NullSpeaker(ClockedSpeaker):
    """Plays to nobody in real time; `--output null`."""

    def __init__(self, *, pace: Clock | None = None) -> None:
        super().__init__(pace=pace)
