"""Log-mel features as Whisper was trained on: pure functions of sound at 16 kHz.

Formulas: the slaney mel scale of Malcolm Slaney's Auditory Toolbox (1998), and the
scaling of OpenAI's Whisper (`audio.py`, `log_mel_spectrogram`).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from runner.speech.parts import SPEECH_RATE, Samples

MEL_BANDS = 80
HOP = 160  # samples between two frames: 10 ms
_WINDOW = 400  # samples in a frame: 25 ms
_FLOOR = 1e-10  # power below which a band counts as silent
_DYNAMIC_RANGE = 8.0  # powers of ten below the loudest band


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """Return bands by frames (80, len // 160), roughly -1 to 1."""
    padded = np.pad(samples, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP]
    spectrum = np.fft.rfft(frames * _hann(), axis=1)[: len(samples) // HOP]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    level = np.log10(np.maximum(_mel_filters() @ power.T, _FLOOR))
    limited = np.maximum(level, level.max() - _DYNAMIC_RANGE)
    features: NDArray[np.float32] = ((limited + 4.0) / 4.0).astype(np.float32)
    return features


def standardize(samples: Samples) -> Samples:
    """Shift and scale to zero mean and unit variance."""
    scaled: Samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    return scaled.astype(np.float32)


@cache
def _hann() -> Samples:
    """The periodic Hann window."""
    return np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


@cache
def _mel_filters() -> NDArray[np.float32]:
    """Triangles of equal area whose corners are evenly spaced in mel, (80, 201)."""
    bins = np.fft.rfftfreq(_WINDOW, 1 / SPEECH_RATE)
    top = _hertz_to_mel(SPEECH_RATE / 2)
    corners = _mel_to_hertz(np.linspace(0.0, top, MEL_BANDS + 2))
    low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2.0 / (high - low)).astype(np.float32)


# The scale is linear up to 1 kHz (15 mel), logarithmic above: 27 mel for a factor 6.4.
_KNEE_HERTZ, _KNEE_MEL = 1000.0, 15.0
_LOG_STEP = float(np.log(6.4)) / 27.0


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _KNEE_HERTZ:
        return hertz * _KNEE_MEL / _KNEE_HERTZ
    return _KNEE_MEL + float(np.log(hertz / _KNEE_HERTZ)) / _LOG_STEP


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * _KNEE_HERTZ / _KNEE_MEL
    return np.where(
        mel < _KNEE_MEL,
        linear,
        _KNEE_HERTZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL)),
    )
