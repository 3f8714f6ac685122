"""The near end of a hosted call: microphone and speaker at the client of a connection.

All audio is 24 kHz mono PCM16, as the client sends and receives it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Self

from runner.audio.devices import (
    BYTES_PER_MS,
    FRAME_BYTES,
    FRAME_MS,
)

# A client that sends nothing for this long is replaced by silence in real time: the
# service must hear that the caller is quiet, also while a connection is lost.
_SILENT_AFTER_SECONDS = 0.3
# What arrives at once after the network stalled. The engine reads all of it in the next
# turn of the loop, so it delays nothing that follows.
_MAX_BACKLOG_BYTES = 10_000 * BYTES_PER_MS


class RemoteMicrophone:
    """A microphone whose audio is fed as it arrives; without audio, yields silence."""

    def __init__(self) -> None:
        self.dropped_ms = 0.0
        self._audio = bytearray()
        self._frames: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0  # time of the last audio or silence
        self._is_open = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def feed(self, pcm: bytes) -> None:
        """Adds audio of the client; call on the event loop."""
        self._last = asyncio.get_running_loop().time()
        self._audio += pcm
        while len(self._audio) >= FRAME_BYTES:
            self._add(bytes(self._audio[:FRAME_BYTES]))
            del self._audio[:FRAME_BYTES]

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields frames until the microphone is closed."""
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        self._timer = loop.call_later(_SILENT_AFTER_SECONDS, self._fill)
        while self._is_open:
            while self._frames:
                yield self._frames.popleft()
            self._waiter = loop.create_future()
            await self._waiter

    def _add(self, frame: bytes) -> None:
        self._frames.append(frame)
        if len(self._frames) * FRAME_BYTES > _MAX_BACKLOG_BYTES:
            self._frames.popleft()
            self.dropped_ms += FRAME_MS
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fill(self) -> None:
        """Adds a frame of silence if none is due from the client."""
        if not self._is_open:
            return
        loop = asyncio.get_running_loop()
        due = self._last + _SILENT_AFTER_SECONDS
        if loop.time() >= due:
            # What is left of the client's audio begins the frame.
            rest = bytes(self._audio[:FRAME_BYTES])
            self._audio.clear()
            self._add(rest + bytes(FRAME_BYTES - len(rest)))
            self._last += FRAME_MS / 1000
            due = self._last + _SILENT_AFTER_SECONDS
        self._timer = loop.call_at(due, self._fill)


class RemoteSpeaker:
    """A speaker at the client: estimates what was played, corrected by its reports.

    Audio is sent by the session as soon as it arrives, and the client plays it in real
    time. `pause` stops the estimate while there is no connection.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ends = 0.0  # when all audio will have been played
        self._paused_at: float | None = None
        self._reply_id = ""
        self._handed_ms = 0.0  # of the current reply

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    @property
    def pending_ms(self) -> float:
        """Milliseconds of audio that were sent and not yet played."""
        now = self._now() if self._paused_at is None else self._paused_at
        return max(0.0, self._ends - now) * 1000

    def begin_reply(self, reply_id: str) -> None:
        """Attributes the following audio to a reply."""
        if reply_id != self._reply_id:
            self._reply_id, self._handed_ms = reply_id, 0.0

    def play(self, pcm: bytes) -> None:
        """Counts audio that is sent to the client."""
        milliseconds = len(pcm) / BYTES_PER_MS
        self._handed_ms += milliseconds
        now = self._now() if self._paused_at is None else self._paused_at
        self._ends = max(now, self._ends) + milliseconds / 1000

    def stop(self) -> float:
        """Counts the pending audio as discarded; returns its milliseconds."""
        pending = self.pending_ms
        self._ends -= pending / 1000
        return pending

    def report(self, reply_id: str, played_ms: float) -> None:
        """Corrects the estimate: the client has played this much of a reply."""
        # A report of an earlier reply says nothing about the current one, and audio
        # that was discarded is not played later.
        if reply_id != self._reply_id or self._paused_at is not None:
            return
        if self.pending_ms > 0:
            left = self._handed_ms - played_ms
            self._ends = self._now() + min(max(0.0, left), self._handed_ms) / 1000

    def pause(self) -> None:
        """Stops the playback: the connection is lost."""
        if self._paused_at is None:
            self._paused_at = self._now()

    def resume(self) -> None:
        """Continues the playback on a new connection."""
        if self._paused_at is not None:
            pending = self.pending_ms
            self._paused_at = None
            self._ends = self._now() + pending / 1000

    async def drained(self) -> None:
        """Returns once all audio was played or discarded."""
        while (pending := self.pending_ms) > 0:  # noqa: ASYNC110 - reports change it
            await asyncio.sleep(max(pending / 1000, 0.01))
