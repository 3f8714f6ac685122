"""A caller who is hard to hear: noise around, and frames that never arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from runner.audio.devices import Microphone
from runner.audio.pcm import to_pcm, to_samples


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
