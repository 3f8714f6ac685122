"""The tones that are played into the room, and what can be told of what came back.

Pure arithmetic on samples; times are seconds, levels dB, a level of sound relative to
full scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from runner.audio.pcm import Samples

RATE = 24_000  # of all that is analysed, in hertz
SECONDS = 2.0
# Modest: 20 dB below full scale, at whatever volume the speaker is set to.
_AMPLITUDE = 0.1
_FADE_SECONDS = 0.02
# Eight sweeps up and down, no two alike: together they mark a moment, and excite every
# frequency again and again, so that a canceller learns the room within the two seconds.
# A single long sweep it does not learn from, and noise is a nuisance to listen to.
_SWEEPS = tuple((150.0 + 40 * number, 4_000.0 + 300 * number) for number in range(8))

# How far the match of the tones has to stand out of all others. That of noise alone
# reached 5 in a thousand tries, that of tones 20 dB below the noise 20.
_CLEAR = 8.0
_SILENCE = -120.0  # dB: what is told of nothing at all
_OVERDRIVEN = 0.99  # of full scale
# What the reference lags less than the echo: a canceller wants it to come first.
_HEAD_START_SECONDS = 0.02

# Takes the echo of the second (what was played) out of the first (what was heard).
Cancel: TypeAlias = Callable[[Samples, Samples], Samples]


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back of the tones; `at` is where they begin, in seconds."""

    at: float
    level: float
    noise: float  # level of the room before the tones
    echo_path: float  # what was heard relative to what was played, in dB
    is_overdriven: bool


def tones(rate: int) -> Samples:
    """Return the two seconds of tones at a rate in hertz."""
    parts = [
        _sweep(low, high, rate)[:: -1 if number % 2 else 1]
        for number, (low, high) in enumerate(_SWEEPS)
    ]
    sound = np.concatenate(parts)
    ramp = np.minimum(1.0, np.arange(len(sound)) / (_FADE_SECONDS * rate))
    shaped: Samples = (_AMPLITUDE * sound * ramp * ramp[::-1]).astype(np.float32)
    return shaped


def find_tones(heard: Samples) -> Heard | None:
    """Find the tones in what was heard, at `RATE`; None when they are not in it."""
    sought = tones(RATE)
    if len(heard) < len(sought):
        return None
    match = np.abs(_correlate(heard, sought))
    start = int(np.argmax(match))
    if match[start] <= _CLEAR * float(np.sqrt(np.mean(np.square(match)))):
        return None
    echo = heard[start : start + len(sought)]
    noise = _power(heard[:start])
    path = max(0.0, _power(echo) - noise) / _power(sought)
    return Heard(
        at=start / RATE,
        level=_decibels(_power(echo)),
        noise=_decibels(noise),
        echo_path=_decibels(path),
        is_overdriven=bool(np.abs(echo).max() >= _OVERDRIVEN),
    )


def is_digital_silence(heard: Samples) -> bool:
    """Whether not even noise came from the microphone."""
    return not heard.any()


def cancelled_by(heard: Samples, found: Heard, cancel: Cancel) -> float:
    """Return by how many dB a canceller lowers the echo once it knows the room.

    The reference is aligned with the echo as a call aligns it. What was heard is gone
    through twice, and the second time counts.
    """
    played = np.zeros(len(heard), np.float32)
    begin = max(0, round((found.at - _HEAD_START_SECONDS) * RATE))
    sound = tones(RATE)[: len(played) - begin]
    played[begin : begin + len(sound)] = sound
    left = cancel(np.tile(heard, 2), np.tile(played, 2))[len(heard) :]
    start = round(found.at * RATE)
    stretch = slice(start, start + round(SECONDS * RATE))
    before, after = _power(heard[stretch]), _power(left[stretch])
    return _decibels(before) - _decibels(after)


def _sweep(low: float, high: float, rate: int) -> NDArray[np.float64]:
    """Return an exponential sweep of an eighth of the whole, at full scale."""
    seconds = SECONDS / len(_SWEEPS)
    times = np.arange(round(seconds * rate)) / rate
    growth = np.log(high / low) / seconds
    phase = 2 * np.pi * low * np.expm1(growth * times) / growth
    swept: NDArray[np.float64] = np.sin(phase)
    return swept


def _correlate(heard: Samples, sought: Samples) -> NDArray[np.float64]:
    """Return how well the sought fits at each place where all of it does."""
    size = 1 << (len(heard) + len(sought) - 1).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sought, size))
    fits: NDArray[np.float64] = np.fft.irfft(spectrum, size)
    return fits[: len(heard) - len(sought) + 1]


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0


def _decibels(power: float) -> float:
    return max(_SILENCE, 10 * float(np.log10(power))) if power > 0 else _SILENCE
