from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.speech.interfaces import SPEECH_RATE, Samples
from runner.speech.vad import HOP, MEL_BANDS, log_mel, standardize


def tone(hertz: float, seconds: float = 1.0) -> Samples:
    time = np.arange(round(SPEECH_RATE * seconds)) / SPEECH_RATE
    return np.sin(2 * np.pi * hertz * time).astype(np.float32)


def loudest_band(samples: Samples) -> int:
    return int(log_mel(samples).mean(axis=1).argmax())


@given(st.integers(200, 20_000))
@settings(max_examples=30, deadline=None)
def test_there_is_a_frame_every_10_ms(count: int) -> None:
    features = log_mel(np.zeros(count, np.float32))

    assert features.shape == (MEL_BANDS, count // HOP)
    assert features.dtype == np.float32


# 80 bands up to 8 kHz, 45.245 mel: a band is 0.5586 mel wide, 15 mel are 1 kHz.
@pytest.mark.parametrize(
    ("hertz", "band"), [(200.0, 4), (500.0, 12), (1000.0, 26), (4000.0, 62)]
)
def test_a_tone_is_in_the_band_of_its_frequency(hertz: float, band: int) -> None:
    assert abs(loudest_band(tone(hertz)) - band) <= 1


def test_ten_times_the_amplitude_raises_every_band_by_a_half() -> None:
    # Two powers of ten, divided by four: Whisper's scaling.
    noise = np.random.default_rng(3).standard_normal(SPEECH_RATE).astype(np.float32)

    difference = log_mel(noise * 10) - log_mel(noise)

    assert np.allclose(difference, 0.5, atol=1e-4)


def test_silence_next_to_audio_is_limited_to_eighty_decibels_below() -> None:
    half_silent = np.concatenate([tone(1000.0), np.zeros(SPEECH_RATE, np.float32)])

    features = log_mel(half_silent)

    assert features.max() - features.min() == pytest.approx(2.0, abs=1e-5)


def test_standardized_audio_has_zero_mean_and_unit_variance() -> None:
    scaled = standardize(0.1 * tone(300.0) + np.float32(0.2))

    assert scaled.mean() == pytest.approx(0.0, abs=1e-5)
    assert scaled.std() == pytest.approx(1.0, abs=1e-3)


def test_standardized_silence_is_silence() -> None:
    assert not standardize(np.zeros(1000, np.float32)).any()
