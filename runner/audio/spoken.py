"""A microphone into which a program speaks: the way of `--say` and of typed words."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from runner.audio.devices import FRAME_BYTES, FRAME_MS
from runner.audio.pace import LoopPace, Pace, Ticker
from runner.audio.pcm import duration_ms
from runner.errors import AudioError


class _Line:
    """One line on its way out; `said` is resolved with the time of its last sample."""

    def __init__(self, pcm: bytes) -> None:
        self.rest = memoryview(pcm)
        self.said: asyncio.Future[float] = asyncio.get_running_loop().create_future()


class QueueMicrophone:
    """Gives silence at real-time pace, and the lines it is handed, one after another.

    Each line begins a frame of its own. A line whose `say` is cancelled breaks off.
    """

    def __init__(self, *, pace: Pace | None = None) -> None:
        self.dropped_ms = 0.0
        self._pace = pace or LoopPace()
        self._lines: deque[_Line] = deque()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed = True
        while self._lines:
            line = self._lines.popleft()
            if not line.said.done():
                line.said.set_exception(
                    AudioError("the call ended before the line was spoken")
                )

    async def say(self, pcm: bytes) -> float:
        """Speak 24 kHz PCM16 after what is queued; return when its last sample went.

        The time is the pace's clock at that sample, not at the end of its frame.
        Raises AudioError when the input is closed or the call ends first.
        """
        if self._is_closed:
            raise AudioError("the microphone takes no more lines: its input is closed")
        line = _Line(pcm)
        self._lines.append(line)
        return await line.said

    def close_input(self) -> None:
        """End the frames once the lines that are queued have gone out."""
        self._is_closed = True

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield frames of speech or silence until the input is closed."""
        ticker = Ticker(self._pace, FRAME_MS / 1000)
        while self._lines or not self._is_closed:
            now = await ticker.tick()
            while self._lines and self._lines[0].said.done():  # cancelled
                self._lines.popleft()
            line = self._lines[0] if self._lines else None
            if line is None:
                yield bytes(FRAME_BYTES)
                continue
            frame = bytes(line.rest[:FRAME_BYTES])
            line.rest = line.rest[FRAME_BYTES:]
            missing = bytes(FRAME_BYTES - len(frame))
            yield frame + missing
            if not line.rest and not line.said.done():
                line.said.set_result(now - duration_ms(missing) / 1000)
                self._lines.remove(line)
