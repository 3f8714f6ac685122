"""What a room does to audio on its way from a loudspeaker to a microphone: pure sums.

Audio is float32, mono, -1 to 1; positions are samples since the room was opened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Of the simulated devices, by their own clocks: what PortAudio asks of ALSA first, so
# that the sound server has nothing to resample.
RATE = 44_100

_BLOCK = 1024  # the longest piece that is taken at once
_TRANSFORM = 4096
_KEPT = 2 * RATE  # of what was played: the longest delay
_TAPS = 16  # of the filter that reads between two samples
_PHASES = 512


@dataclass(frozen=True, slots=True)
class Acoustics:
    """A room with its devices; what is left out makes it a cable.

    `delay` is seconds from the loudspeaker's converter to the microphone's; `level` the
    loudness of the echo next to what is played, in dB (None: headphones); `reverb` how
    long the room answers, in seconds (60 dB down at its end); `noise` its own noise in
    dBFS; the clocks are off by so many parts in a million.
    """

    delay: float = 0.002
    level: float | None = 0.0
    reverb: float = 0.0
    noise: float | None = None
    output_ppm: float = 0.0
    input_ppm: float = 0.0


CABLE = Acoustics()


def living_room(delay: float, level: float) -> Acoustics:
    """Return a furnished room: 60 ms of answer, and noise at -65 dBFS."""
    return Acoustics(delay, level, reverb=0.06, noise=-65.0)


def response(acoustics: Acoustics, seed: int = 7) -> NDArray[np.float32]:
    """Return what the microphone hears of one click; its energy is the level's."""
    if acoustics.level is None:
        return np.zeros(1, np.float32)
    length = max(1, min(round(acoustics.reverb * RATE), _TRANSFORM - _BLOCK))
    times = np.arange(length) / length
    noise = np.random.default_rng(seed).standard_normal(length)
    answer = 0.15 * noise * 10 ** (-3 * times)
    answer[0] = 1.0
    answer *= 10 ** (acoustics.level / 20) / math.sqrt(float(np.sum(answer**2)))
    return answer.astype(np.float32)


class Clock:
    """Samples of a device that counts them by its own clock, in seconds of ours."""

    def __init__(self, began: float) -> None:
        # (position, time, samples a second) of each setting, the last in force.
        self.settings: list[tuple[float, float, float]] = [(0.0, began, RATE)]

    def set(self, ppm: float, now: float) -> None:
        """Go on at this rate."""
        self.settings.append((self.position(now), now, RATE * (1 + ppm / 1e6)))

    def position(self, at: float) -> float:
        """Return which sample is due at this time."""
        position, since, rate = self.settings[-1]
        return position + (at - since) * rate

    def time_of(self, sample: float) -> float:
        """Return when this sample is played or heard."""
        held = [each for each in self.settings if each[0] <= sample]
        position, since, rate = (held or self.settings)[-1 if held else 0]
        return since + (sample - position) / rate


class Air:
    """Keeps what was played lately, with the room's answer, to be read in between."""

    def __init__(self, acoustics: Acoustics) -> None:
        self._end = 0  # position after the last sample that was played
        self._sound = np.zeros(2 * _KEPT, np.float32)
        self._size = _KEPT  # samples in `_sound`, the first of them silence
        self._before = np.zeros(_TRANSFORM - _BLOCK, np.float32)
        self._filters = _between()
        self.furnish(acoustics)

    def furnish(self, acoustics: Acoustics) -> None:
        """Be another room from now on."""
        self._spectrum = np.fft.rfft(response(acoustics), _TRANSFORM)

    def play(self, samples: NDArray[np.float32]) -> None:
        """Take what leaves the loudspeaker."""
        for start in range(0, len(samples), _BLOCK):
            self._append(self._answer(samples[start : start + _BLOCK]))

    def hear(self, first: float, step: float, count: int) -> NDArray[np.float32]:
        """Return the audio at so many positions from `first` on, `step` apart."""
        places = first + step * np.arange(count)
        whole = np.floor(places).astype(np.int64)
        phase = ((places - whole) * _PHASES).astype(np.int64)
        index = whole - (self._end - self._size) - _TAPS // 2 + 1
        taps = index[:, None] + np.arange(_TAPS)
        known = (taps >= 0) & (taps < self._size)
        sound = self._sound[np.where(known, taps, 0)] * known
        heard: NDArray[np.float32] = (sound * self._filters[phase]).sum(axis=1)
        return heard

    def _answer(self, piece: NDArray[np.float32]) -> NDArray[np.float32]:
        window = np.concatenate((self._before, piece))
        self._before = window[-(_TRANSFORM - _BLOCK) :]
        spectrum = np.fft.rfft(window, _TRANSFORM) * self._spectrum
        answer = np.fft.irfft(spectrum, _TRANSFORM)
        return answer[len(window) - len(piece) : len(window)].astype(np.float32)

    def _append(self, answer: NDArray[np.float32]) -> None:
        if self._size + len(answer) > len(self._sound):
            self._sound[:_KEPT] = self._sound[self._size - _KEPT : self._size]
            self._size = _KEPT
        self._sound[self._size : self._size + len(answer)] = answer
        self._size += len(answer)
        self._end += len(answer)


def _between() -> NDArray[np.float32]:
    """Return filters that read a signal at each of so many places between samples."""
    phases = np.arange(_PHASES)[:, None] / _PHASES
    taps = np.arange(_TAPS)[None, :] - _TAPS // 2 + 1 - phases
    window = np.cos(np.pi * taps / (_TAPS + 1)) ** 2
    filters = np.sinc(taps) * window
    filters /= filters.sum(axis=1, keepdims=True)
    single: NDArray[np.float32] = filters.astype(np.float32)
    return single
