"""Changes the sample rate of a stream of sound; the one place that knows soxr."""

from __future__ import annotations

from typing import cast

import numpy as np
import soxr

from runner.audio.pcm import Samples, to_pcm, to_samples

# The most that a `SteadyResampler` can be steered by. A tenth of it is a large error of
# a sound card's clock, and a hundredth part is what nobody hears of speech.
MOST_STEERING = 0.005


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


class SteadyResampler:
    """Resamples one mono stream with a small, even lag, at a ratio that can be steered.

    For live sound: between the usual rates output lags behind input by 5 to 15 ms,
    always, where `Resampler` hands it out in bursts of up to 40 ms. It costs about a
    third more. Equal rates that are not steered cost nothing and lag by nothing.
    """

    def __init__(
        self, from_rate: int, to_rate: int, *, is_steerable: bool = False
    ) -> None:
        self._rates = from_rate, to_rate
        self._is_steerable = is_steerable
        self._stream = None
        if is_steerable or from_rate != to_rate:
            # The rates that soxr is given are those of its largest ratio; a larger one
            # than is needed can cost another stage of filters, and its lag.
            most = 1 + MOST_STEERING if is_steerable else 1.0
            self._stream = soxr.ResampleStream(
                from_rate * most, to_rate, 1, dtype="float32", quality="HQ", vr=True
            )
            self._set_ratio(0.0, 0)

    def steer(self, faster: float, over: int = 0) -> None:
        """Take in so much more of the input for the same output, as a share of one.

        Positive plays faster; what exceeds +-`MOST_STEERING` is cut off. The change is
        spread over so many samples of the input.
        """
        if not self._is_steerable:
            raise ValueError("steering a resampler that was not made for it")
        self._set_ratio(min(max(faster, -MOST_STEERING), MOST_STEERING), over)

    def process(self, samples: Samples, last: bool = False) -> Samples:
        """Return the output that these samples complete; with `last`, all of it.

        After `last` the next piece begins a new stream, which is not steered.
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
    """Change the rate of one whole piece of PCM16."""
    if from_rate == to_rate:
        return pcm
    return to_pcm(Resampler(from_rate, to_rate).process(to_samples(pcm), last=True))
