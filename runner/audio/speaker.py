"""The speaker of a machine without one: plays by the clock, into a recording or not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol, Self

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pace import Clock, LoopClock, Ticker
from runner.audio.playback import PlaybackBuffer, PlaybackCounts
from runner.errors import AudioFileError

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
