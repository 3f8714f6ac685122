"""Sample rate conversion of audio streams, with soxr."""

from __future__ import annotations

from typing import cast

import numpy as np
import soxr

from runner.audio.pcm import Samples, to_pcm, to_samples

# Limit of the steering of a `SteadyResampler`. A tenth of it is a large error of a
# sound card's clock; changes of speech up to 1 % are inaudible.
MAX_STEERING = 0.005


class Resampler:
    """Resamples one mono stream piece by piece, continuous between the pieces.

    The filter looks ahead, so output lags behind input by about 20 to 40 ms until the
    last piece. Equal rates pass through without cost or lag.
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
        """True if the filter still holds samples, which `last` returns."""
        return self._is_holding

    def process(self, samples: Samples, last: bool = False) -> Samples:
        """Returns the output that these samples complete.

        With `last` the held samples are returned too, and the next piece begins a new
        stream. In total `n` samples become `n * to_rate / from_rate`, within one.
        """
        if self._stream is None:
            return samples
        piece = np.ascontiguousarray(samples, dtype=np.float32)
        output = cast("Samples", self._stream.resample_chunk(piece, last))
        if last:
            self._stream.clear()
        self._is_holding = not last and (self._is_holding or len(samples) > 0)
        return output


class SteadyResampler:
    """Resamples one mono stream with a small constant lag and an adjustable ratio.

    For live audio: between the usual rates output always lags behind input by 5 to
    15 ms, where `Resampler` returns bursts of up to 40 ms. It costs about a third more.
    Equal rates without steering pass through without cost or lag.
    """

    def __init__(
        self, from_rate: int, to_rate: int, *, is_steerable: bool = False
    ) -> None:
        self._rates = from_rate, to_rate
        self._is_steerable = is_steerable
        self._stream = None
        if is_steerable or from_rate != to_rate:
            # soxr takes the rates of its largest ratio; a larger one than necessary can
            # cost another stage of filters, and its lag.
            most = 1 + MAX_STEERING if is_steerable else 1.0
            self._stream = soxr.ResampleStream(
                from_rate * most, to_rate, 1, dtype="float32", quality="HQ", vr=True
            )
            self._set_ratio(0.0, 0)

    def steer(self, faster: float, over: int = 0) -> None:
        """Changes the playback speed by the fraction `faster`.

        Positive plays faster; values beyond +-`MAX_STEERING` are clipped. The change
        is spread over `over` input samples.
        """
        if not self._is_steerable:
            raise ValueError("the resampler is not steerable")
        self._set_ratio(min(max(faster, -MAX_STEERING), MAX_STEERING), over)

    def process(self, samples: Samples, last: bool = False) -> Samples:
        """Returns the output that these samples complete; with `last`, all of it.

        After `last` the next piece begins a new stream without steering.
        """
        if self._stream is None:
            return samples
        piece = np.ascontiguousarray(samples, dtype=np.float32)
        output = cast("Samples", self._stream.resample_chunk(piece, last))
        if last:
            self._stream.clear()
            self._set_ratio(0.0, 0)
        return output

    def _set_ratio(self, faster: float, over: int) -> None:
        assert self._stream is not None, "a ratio of equal rates"
        from_rate, to_rate = self._rates
        self._stream.set_io_ratio(from_rate * (1 + faster), to_rate, over)


def resample_pcm(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """Returns one complete piece of PCM16 at another sample rate."""
    if from_rate == to_rate:
        return pcm
    return to_pcm(Resampler(from_rate, to_rate).process(to_samples(pcm), last=True))
