"""A caller who is hard to hear: noise around, and frames that never arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from runner.audio.devices import Microphone
from runner.audio.pcm import to_pcm, to_samples
from runner.engine.connection import Dial, Transport, TransportListener
from runner.errors import ConnectionLost, TransportError


@dataclass(frozen=True, slots=True)
class Impairment:
    """How bad it is.

    `noise_db` is the level of white noise in dB below full scale (-60 a quiet room, -30
    a loud street; None: none), `packet_loss` the share of 50 ms frames that are lost,
    0 to 1.
    """

    noise_db: float | None = None
    packet_loss: float = 0.0

    @property
    def is_none(self) -> bool:
        """Whether everything is heard as it is."""
        return self.noise_db is None and not self.packet_loss


class ImpairedMicrophone:
    """Gives the sound of another microphone with noise, and less of it.

    A lost frame is silence: the clock of the call goes on, as on a telephone.
    """

    def __init__(
        self, microphone: Microphone, impairment: Impairment, seed: int
    ) -> None:
        self._microphone = microphone
        self._impairment = impairment
        self._lots = np.random.default_rng(seed)

    @property
    def dropped_ms(self) -> float:
        """How much nobody took in time; what is lost on purpose does not count."""
        return self._microphone.dropped_ms

    async def __aenter__(self) -> Self:
        await self._microphone.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._microphone.__aexit__(*exc)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what is left of each frame."""
        async for frame in self._microphone.frames():
            yield frame if self._impairment.is_none else self._impair(frame)

    def _impair(self, frame: bytes) -> bytes:
        if self._lots.random() < self._impairment.packet_loss:
            return bytes(len(frame))
        level = self._impairment.noise_db
        if level is None:
            return frame
        samples = to_samples(frame)
        noise = self._lots.standard_normal(len(samples)) * 10 ** (level / 20)
        return to_pcm((samples + noise).clip(-1, 1).astype(np.float32))


# A line that a scenario can cut, whatever service is at its other end.


class CuttableConnection:
    """Dials as it was told to, except while the line is cut; itself a `Dial`."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._ears: list[_Ear] = []
        self._away_until: float | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, token: str | None, listener: TransportListener) -> None:
        """Open a connection; raises TransportError while the line is cut."""
        now = asyncio.get_running_loop().time()
        if self._away_until is not None and now < self._away_until:
            raise TransportError("cannot reach the service (the line is cut)")
        ear = _Ear(listener)
        self._ears = [each for each in self._ears if each.transport is not None]
        self._ears.append(ear)
        await self._dial(token, ear)

    def cut(self, seconds: float) -> None:
        """Break every connection, and refuse new ones for so long."""
        self._away_until = asyncio.get_running_loop().time() + seconds
        for ear in self._ears:
            transport = ear.cut()
            if transport is not None:
                task = asyncio.create_task(transport.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


class _Ear:
    """Passes on what is heard on one connection, until it is cut."""

    def __init__(self, listener: TransportListener) -> None:
        self.transport: Transport | None = None  # while the connection stands
        self._listener = listener
        self._is_cut = False

    def cut(self) -> Transport | None:
        """Tell that the line is lost; return what is to be closed, if anything."""
        transport, self.transport = self.transport, None
        if transport is not None:
            self._is_cut = True
            self._listener.lost(ConnectionLost("the line was lost"))
        return transport

    def opened(self, transport: Transport) -> None:
        self.transport = transport
        self._listener.opened(transport)

    def received(self, text: str | bytes) -> None:
        if not self._is_cut:
            self._listener.received(text)

    def writable(self) -> None:
        if not self._is_cut:
            self._listener.writable()

    def lost(self, error: ConnectionLost) -> None:
        self.transport = None
        if not self._is_cut:
            self._listener.lost(error)


# The microphone of a caller whose words are handed over as text.


class NullMicrophone:
    """Gives no sound at all, not even silence."""

    dropped_ms = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def frames(self) -> AsyncIterator[bytes]:
        """Wait for as long as it is asked."""
        await asyncio.Event().wait()
        yield b""
