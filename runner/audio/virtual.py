"""Microphones and speakers without hardware that keep real time."""

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


class _Line:
    """A queued line; `sent` is resolved with the time of its last sample."""

    def __init__(self, pcm: bytes) -> None:
        self.rest = memoryview(pcm)
        self.sent: asyncio.Future[float] = asyncio.get_running_loop().create_future()


class _Lines:
    """A queue of lines; each begins at a frame boundary."""

    def __init__(self) -> None:
        self.is_closed = False
        self._lines: deque[_Line] = deque()

    def __len__(self) -> int:
        return len(self._lines)

    async def say(self, pcm: bytes) -> float:
        """Queues a line; returns the time of its last sample after that was sent."""
        if self.is_closed:
            raise AudioError("the input of the microphone is closed")
        line = _Line(pcm)
        self._lines.append(line)
        return await line.sent

    def take(self, now: float, size: int) -> bytes | None:
        """Returns the frame of `size` bytes that is due now; None without a line."""
        while self._lines and self._lines[0].sent.done():  # cancelled
            self._lines.popleft()
        line = self._lines[0] if self._lines else None
        if line is None:
            return None
        frame = bytes(line.rest[:size])
        line.rest = line.rest[size:]
        missing = bytes(size - len(frame))
        if not line.rest:
            line.sent.set_result(now - duration_ms(missing) / 1000)
            self._lines.popleft()
        return frame + missing

    def close(self) -> None:
        """Discards the lines that were not sent."""
        self.is_closed = True
        while self._lines:
            line = self._lines.popleft()
            if not line.sent.done():
                line.sent.set_exception(
                    AudioError("the call ended before the line was spoken")
                )


class InjectedMicrophone:
    """A microphone that yields silence in real time, and the lines passed to `say`.

    Each line begins at a frame boundary. A line whose `say` is cancelled stops.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.dropped_ms = 0.0
        self._clock = clock or LoopClock()
        self._lines = _Lines()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._lines.close()

    async def say(self, pcm: bytes) -> float:
        """Plays 24 kHz PCM16 after the queued lines; returns when it was sent.

        The result is the clock's time at the last sample, not at the end of its frame.
        Raises AudioError if the input is closed or the call ends first.
        """
        return await self._lines.say(pcm)

    def close_input(self) -> None:
        """Ends the frames after the queued lines."""
        self._lines.is_closed = True

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields frames of speech or silence until the input is closed."""
        ticker = Ticker(self._clock, FRAME_MS / 1000)
        while self._lines or not self._lines.is_closed:
            now = await ticker.tick()
            yield self._lines.take(now, FRAME_BYTES) or bytes(FRAME_BYTES)


class MixedMicrophone:
    """A microphone whose audio is replaced by the lines passed to `say`.

    Lines keep the pace of the microphone's frames. The context opens and closes the
    wrapped microphone.
    """

    def __init__(self, microphone: Microphone, *, clock: Clock | None = None) -> None:
        self._microphone = microphone
        self._clock = clock or LoopClock()
        self._lines = _Lines()

    @property
    def dropped_ms(self) -> float:
        """Milliseconds of the microphone's audio that were not read in time."""
        return self._microphone.dropped_ms

    async def __aenter__(self) -> Self:
        await self._microphone.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._lines.close()
        await self._microphone.__aexit__(*exc)

    async def say(self, pcm: bytes) -> float:
        """Sends 24 kHz PCM16 in place of the recorded audio; returns when it was sent.

        Raises AudioError if the call ends first.
        """
        return await self._lines.say(pcm)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields the recorded frames, or those of a line while there is one."""
        async for frame in self._microphone.frames():
            if self._lines:
                frame = self._lines.take(self._clock.now(), len(frame)) or frame
            yield frame


_WRITE_SECONDS = 0.05  # seconds between two writes to a recording


class AudioSink(Protocol):
    """A file that records the played audio, including silence."""

    def open(self) -> None:
        """Opens the file for writing; raises AudioFileError if that fails."""
        ...

    def write(self, pcm: bytes) -> None:
        """Appends audio; raises AudioFileError, for example if the disk is full."""
        ...

    def close(self) -> None: ...


class ClockedSpeaker:
    """A speaker that plays its buffer by the clock, optionally into a recording.

    The recording is as long as the speaker was open.
    """

    # The clock is read at each call (`play`, `stop`, `pending_ms`), and the audio that
    # became due since the last one is taken from the buffer then: a sound card would
    # have played it meanwhile, regardless of the state of this program.

    def __init__(
        self,
        recording: AudioSink | None = None,
        *,
        begins_at: Callable[[], float | None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Starts when the context is entered, or at the time that `begins_at` returns.

        `begins_at` is called until it returns a time; the first `play` starts earlier.
        """
        self._recording = recording
        self._begins_at = begins_at
        self._clock = clock or LoopClock()
        self._buffer = PlaybackBuffer()
        self._started_at: float | None = None
        self._position = 0  # samples since the start
        self._writing: asyncio.Task[None] | None = None
        # Failure of the recording, raised at the end: a full disk must not end a call.
        self._failure: AudioFileError | None = None

    @property
    def counts(self) -> PlaybackCounts:
        """Counters of the played, cleared and dropped audio."""
        return self._buffer.counts

    @property
    def started_at(self) -> float | None:
        """Time of the first sample on the clock; None before."""
        return self._started_at

    async def __aenter__(self) -> Self:
        if self._recording is not None:
            self._recording.open()
        if self._begins_at is None:
            self._started_at = self._clock.now()
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
        """Appends audio to the playback buffer."""
        self._advance()
        if self._started_at is None:
            self._started_at = self._clock.now()
        self._buffer.write(pcm)

    def stop(self) -> float:
        """Discards the buffered audio after a short fade; returns its milliseconds."""
        self._advance()
        return self._buffer.clear()

    @property
    def pending_ms(self) -> float:
        """Milliseconds of audio that are buffered and not yet played."""
        self._advance()
        return self._buffer.pending_ms

    async def drained(self) -> None:
        """Returns once all audio was played or stopped."""
        while (pending := self.pending_ms) > 0:
            # In steps, because `stop` and `play` move the end.
            await self._clock.wait_until(
                self._clock.now()
                + min(pending / 1000, _WRITE_SECONDS)
                + 1 / SAMPLE_RATE
            )

    def _advance(self) -> None:
        """Plays the audio that has become due."""
        if self._started_at is None and self._begins_at is not None:
            self._started_at = self._begins_at()
        if self._started_at is None:
            return
        due = round((self._clock.now() - self._started_at) * SAMPLE_RATE)
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
        """Keeps the recording up to date while nothing is played."""
        ticker = Ticker(self._clock, _WRITE_SECONDS)
        while True:
            await ticker.tick()
            self._advance()


class SilentMicrophone:
    """A microphone that yields silence in real time; `--input none`."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.dropped_ms = 0.0
        self._clock = clock or LoopClock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields silent frames without end."""
        ticker = Ticker(self._clock, FRAME_MS / 1000)
        while True:
            await ticker.tick()
            yield bytes(FRAME_BYTES)


class NullSpeaker(ClockedSpeaker):
    """A speaker that discards its audio in real time; `--output null`."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
