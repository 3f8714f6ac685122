"""Changes the sample rate of a stream of sound; the one place that knows soxr."""

from __future__ import annotations

from typing import cast

import numpy as np
import soxr

from runner.audio.pcm import Samples, to_pcm, to_samples


class Resampler:
    """Resamples one mono stream piece by piece, with no seam between the pieces.

    The filter looks ahead, so output lags behind input by some 20 to 40 ms until the
    last piece. Equal rates cost nothing and lag by nothing.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._stream = (
            None
            if from_rate == to_rate
            else soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")
        )
        self._is_holding = False

    @property
    def is_holding(self) -> bool:
        """True while samples went in whose output `last` has yet to fetch."""
        return self._is_holding

    def process(self, samples: Samples, last: bool = False) -> Samples:
        """Return the output that these samples complete.

        With `last` all that was held back comes out too, and the next piece begins a
        new stream. In all, `n` samples become `n * to_rate / from_rate`, to within one.
        """
        if self._stream is None:
            return samples
        piece = np.ascontiguousarray(samples, dtype=np.float32)
        output = cast("Samples", self._stream.resample_chunk(piece, last))
        if last:
            self._stream.clear()
        self._is_holding = not last and (self._is_holding or len(samples) > 0)
        return output


def resample_pcm(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """Change the rate of one whole piece of PCM16."""
    if from_rate == to_rate:
        return pcm
    return to_pcm(Resampler(from_rate, to_rate).process(to_samples(pcm), last=True))
