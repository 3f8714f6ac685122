"""Microphones into which a program speaks: the way of `--say` and of typed words."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

from runner.audio.devices import FRAME_BYTES, FRAME_MS, Microphone
from runner.audio.pace import Clock, LoopClock, Ticker
from runner.audio.pcm import duration_ms
from runner.errors import AudioError


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
