"""The tones that are played into the room, and what can be told of what came back.

Pure arithmetic on samples; times are seconds, levels dB, a level of sound relative to
full scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.audio.devices import SAMPLE_BYTES
from runner.audio.echo import FrontEnd
from runner.audio.pcm import Samples, to_pcm

RATE = 24_000  # of all that is analysed, in hertz
SECONDS = 2.0
# Modest: 20 dB below full scale, at whatever volume the speaker is set to.
_AMPLITUDE = 0.1
_FADE_SECONDS = 0.02
# Eight sweeps up and down, no two alike: together they mark a moment, and excite every
# frequency again and again, so that a canceller learns the room within the two seconds.
# A single long sweep it does not learn from, and noise is a nuisance to listen to.
_SWEEPS = tuple((150.0 + 40 * number, 4_000.0 + 300 * number) for number in range(8))

# How far the match of the tones has to stand out of all others. In a thousand tries
# that of noise alone, white or pink, was never above 5.6; in a hundred, that of tones
# 25 dB below white noise never below 10.2.
_CLEAR = 8.0
_SILENCE = -120.0  # dB: what is told of nothing at all
_OVERDRIVEN = 0.99  # of full scale
# Blocks of 10 ms, and how many of them are handed to a device before they are audible.
_PIECE = RATE // 100
_AHEAD = 10


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


def cancelled_by(
    heard: Samples, found: Heard, played_at: float, front_end: FrontEnd
) -> float:
    """Return by how many dB a canceller lowers the echo once it knows the room.

    `played_at` is when, by the stream's own times, the tones were audible, in seconds
    from the beginning of what was heard: a call aligns the two by nothing else. What
    was heard is gone through twice, and the second time counts.
    """
    whole = heard[: len(heard) - len(heard) % _PIECE]
    played = np.zeros(len(whole), np.float32)
    _lay(tones(RATE), played, round(played_at * RATE))
    left = _hear(np.tile(whole, 2), to_pcm(np.tile(played, 2)), front_end)
    start = round(found.at * RATE)
    stretch = slice(start, start + round(SECONDS * RATE))
    before, after = _power(whole[stretch]), _power(left[len(whole) :][stretch])
    return _decibels(before) - _decibels(after)


def _lay(sound: Samples, track: Samples, start: int) -> None:
    """Lay a sound on a track; what would be before it or after it is cut off."""
    first, last = max(start, 0), min(start + len(sound), len(track))
    if first < last:
        track[first:last] = sound[first - start : last - start]


def _hear(heard: Samples, played: bytes, front_end: FrontEnd) -> Samples:
    """Let a canceller hear it all, block by block, a little after it was played."""
    front_end.attach(RATE, 1)
    size = _PIECE * SAMPLE_BYTES
    pieces = []
    for block in range(-_AHEAD, len(heard) // _PIECE):
        ahead = (block + _AHEAD) * size
        if piece := played[ahead : ahead + size]:
            front_end.played(piece, (block + _AHEAD) * _PIECE / RATE)
        if block >= 0:
            start = block * _PIECE
            pieces.append(front_end.hear(heard[start : start + _PIECE], start / RATE))
    return np.concatenate(pieces)


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
