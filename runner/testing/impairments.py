"""Audio and connection impairments: noise, packet loss and dropped connections."""

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
    """The degree of impairment of the caller's audio.

    `noise_db` is the level of white noise in dB below full scale (-60 a quiet room, -30
    a loud street; None: none), `packet_loss` the share of 50 ms frames that are lost,
    0 to 1.
    """

    noise_db: float | None = None
    packet_loss: float = 0.0

    @property
    def is_none(self) -> bool:
        """True if audio is passed on unchanged."""
        return self.noise_db is None and not self.packet_loss


class ImpairedMicrophone:
    """Gives the audio of another microphone with noise and packet loss.

    A lost frame becomes silence of the same length, as on a telephone.
    """

    def __init__(
        self, microphone: Microphone, impairment: Impairment, seed: int
    ) -> None:
        self._microphone = microphone
        self._impairment = impairment
        self._random = np.random.default_rng(seed)

    @property
    def dropped_ms(self) -> float:
        """Milliseconds of audio read too late; injected packet loss does not count."""
        return self._microphone.dropped_ms

    async def __aenter__(self) -> Self:
        await self._microphone.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._microphone.__aexit__(*exc)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields each frame after impairment."""
        async for frame in self._microphone.frames():
            yield frame if self._impairment.is_none else self._impair(frame)

    def _impair(self, frame: bytes) -> bytes:
        if self._random.random() < self._impairment.packet_loss:
            return bytes(len(frame))
        level = self._impairment.noise_db
        if level is None:
            return frame
        samples = to_samples(frame)
        noise = self._random.standard_normal(len(samples)) * 10 ** (level / 20)
        return to_pcm((samples + noise).clip(-1, 1).astype(np.float32))


# A connection that a scenario can drop, with any service.


class CuttableConnection:
    """A `Dial` around another one that can drop connections and refuse new ones."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._listeners: list[_CuttableListener] = []
        self._cut_until: float | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, token: str | None, listener: TransportListener) -> None:
        """Opens a connection; raises TransportError during a cut."""
        now = asyncio.get_running_loop().time()
        if self._cut_until is not None and now < self._cut_until:
            raise TransportError("cannot reach the service (the line is cut)")
        guard = _CuttableListener(listener)
        self._listeners = [
            each for each in self._listeners if each.transport is not None
        ]
        self._listeners.append(guard)
        await self._dial(token, guard)

    def cut(self, seconds: float) -> None:
        """Breaks every connection, and refuses new ones for this many seconds."""
        self._cut_until = asyncio.get_running_loop().time() + seconds
        for guard in self._listeners:
            transport = guard.cut()
            if transport is not None:
                task = asyncio.create_task(transport.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


class _CuttableListener:
    """Forwards the events of one connection until it is cut."""

    def __init__(self, listener: TransportListener) -> None:
        self.transport: Transport | None = None  # while the connection is open
        self._listener = listener
        self._is_cut = False

    def cut(self) -> Transport | None:
        """Reports the connection as lost; returns the transport to close, if any."""
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


# A microphone for callers that speak as text.


class NullMicrophone:
    """Yields no frames."""

    dropped_ms = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def frames(self) -> AsyncIterator[bytes]:
        """Waits until it is cancelled."""
        await asyncio.Event().wait()
        yield b""
