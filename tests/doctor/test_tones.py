from __future__ import annotations

import numpy as np
import pytest

from runner.audio.echo import EchoCancelling
from runner.audio.pcm import Samples
from runner.doctor.tones import (
    RATE,
    SECONDS,
    Heard,
    cancelled_by,
    find_tones,
    is_digital_silence,
    tones,
)

LENGTH = round(3.5 * RATE)
AUDIBLE = 0.6  # seconds: when the tones leave the speaker


class Deaf:
    """A canceller that cancels nothing."""

    def attach(self, rate: int, channels: int, name: str = "") -> None: ...

    def played(self, pcm: bytes, at: float) -> None: ...

    def hear(self, samples: Samples, at: float) -> Samples:
        return samples


def room(delay_ms: float, gain_db: float, noise_db: float = -65.0) -> Samples:
    """What a microphone hears: the tones late, quieter, reverberated, with noise."""
    drawn = np.random.default_rng(7)
    noise = drawn.standard_normal(LENGTH) * 10 ** (noise_db / 20)
    tail = drawn.standard_normal(RATE // 20) * np.exp(-np.arange(RATE // 20) / 300)
    response = np.concatenate([[1.0], 0.1 * tail])
    response /= np.linalg.norm(response)
    echo = np.convolve(tones(RATE), response) * 10 ** (gain_db / 20)
    start = round((AUDIBLE + delay_ms / 1000) * RATE)
    noise[start : start + len(echo)] += echo[: LENGTH - start]
    return noise.astype(np.float32)


def find(heard: Samples) -> Heard:
    found = find_tones(heard)
    assert found is not None
    return found


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 192_000])
def test_the_tones_are_modest_and_begin_and_end_without_a_click(rate: int) -> None:
    sound = tones(rate)

    assert len(sound) == pytest.approx(SECONDS * rate, abs=8)
    assert np.abs(sound).max() == pytest.approx(0.1, rel=0.01)
    assert abs(sound[0]) < 0.001
    assert abs(sound[-1]) < 0.001


@pytest.mark.parametrize(
    ("delay_ms", "gain_db", "noise_db"),
    [(20, 0, -65), (143, -12, -60), (250, -30, -65), (80, -20, -45)],
)
def test_the_tones_are_found_where_they_are(
    delay_ms: float, gain_db: float, noise_db: float
) -> None:
    found = find(room(delay_ms, gain_db, noise_db))

    assert found.at == pytest.approx(AUDIBLE + delay_ms / 1000, abs=0.0005)
    assert found.noise == pytest.approx(noise_db, abs=1)
    assert found.echo_path == pytest.approx(gain_db, abs=1)
    assert not found.is_overdriven


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_not_taken_for_tones(seed: int) -> None:
    drawn = np.random.default_rng(seed)

    assert find_tones(drawn.standard_normal(LENGTH).astype(np.float32)) is None


def test_other_sounds_are_not_taken_for_tones() -> None:
    times = np.arange(LENGTH) / RATE
    hum = np.sin(2 * np.pi * 50 * times) + 0.3 * np.sin(2 * np.pi * 1_000 * times)

    assert find_tones(hum.astype(np.float32)) is None


def test_less_than_the_tones_cannot_hold_them() -> None:
    assert find_tones(tones(RATE)[:-1]) is None


def test_a_microphone_that_clips_is_told() -> None:
    loud = np.clip(room(50, 25), -1, 1)

    assert find(loud).is_overdriven


def test_silence_is_none_but_of_digits() -> None:
    assert is_digital_silence(np.zeros(LENGTH, np.float32))
    assert not is_digital_silence(room(20, 0))


@pytest.mark.parametrize("delay_ms", [20, 120, 250])
def test_a_canceller_takes_the_echo_away(delay_ms: float) -> None:
    heard = room(delay_ms, -6)

    assert cancelled_by(heard, find(heard), AUDIBLE, EchoCancelling()) > 20


def test_what_cancels_nothing_takes_nothing_away() -> None:
    heard = room(60, -6)

    assert cancelled_by(heard, find(heard), AUDIBLE, Deaf()) == pytest.approx(0)


def test_times_that_are_wrong_by_seconds_leave_the_echo() -> None:
    heard = room(60, -6)

    assert cancelled_by(heard, find(heard), -5.0, EchoCancelling()) < 3
