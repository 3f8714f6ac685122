from __future__ import annotations

import numpy as np
import pytest

from runner.audio.echo import EchoCanceller
from runner.audio.pcm import Samples
from runner.cli.doctor_checks.audio import (
    RATE,
    SECONDS,
    ToneMeasurement,
    echo_reduction,
    find_tones,
    is_digital_silence,
    tones,
)

LENGTH = round(3.5 * RATE)
AUDIBLE = 0.6  # seconds: when the tones leave the speaker


class NullCanceller:
    """A canceller that cancels nothing."""

    def attach(self, rate: int, channels: int, name: str = "") -> None: ...

    def played(self, pcm: bytes, at: float) -> None: ...

    def process(self, samples: Samples, at: float) -> Samples:
        return samples


def room(delay_ms: float, gain_db: float, noise_db: float = -65.0) -> Samples:
    """Returns the tones as recorded: late, quieter, with reverberation and noise."""
    rng = np.random.default_rng(7)
    noise = rng.standard_normal(LENGTH) * 10 ** (noise_db / 20)
    tail = rng.standard_normal(RATE // 20) * np.exp(-np.arange(RATE // 20) / 300)
    response = np.concatenate([[1.0], 0.1 * tail])
    response /= np.linalg.norm(response)
    echo = np.convolve(tones(RATE), response) * 10 ** (gain_db / 20)
    start = round((AUDIBLE + delay_ms / 1000) * RATE)
    noise[start : start + len(echo)] += echo[: LENGTH - start]
    return noise.astype(np.float32)


def find(recorded: Samples) -> ToneMeasurement:
    found = find_tones(recorded)
    assert found is not None
    return found


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 192_000])
def test_the_tones_are_quiet_and_fade_in_and_out(rate: int) -> None:
    samples = tones(rate)

    assert len(samples) == pytest.approx(SECONDS * rate, abs=8)
    assert np.abs(samples).max() == pytest.approx(0.1, rel=0.01)
    assert abs(samples[0]) < 0.001
    assert abs(samples[-1]) < 0.001


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
def test_noise_does_not_match(seed: int) -> None:
    rng = np.random.default_rng(seed)

    assert find_tones(rng.standard_normal(LENGTH).astype(np.float32)) is None


def test_hum_does_not_match() -> None:
    times = np.arange(LENGTH) / RATE
    hum = np.sin(2 * np.pi * 50 * times) + 0.3 * np.sin(2 * np.pi * 1_000 * times)

    assert find_tones(hum.astype(np.float32)) is None


def test_a_recording_shorter_than_the_tones_does_not_match() -> None:
    assert find_tones(tones(RATE)[:-1]) is None


def test_a_microphone_that_clips_is_overdriven() -> None:
    loud = np.clip(room(50, 25), -1, 1)

    assert find(loud).is_overdriven


def test_only_zeros_are_digital_silence() -> None:
    assert is_digital_silence(np.zeros(LENGTH, np.float32))
    assert not is_digital_silence(room(20, 0))


@pytest.mark.parametrize("delay_ms", [20, 120, 250])
def test_a_canceller_removes_the_echo(delay_ms: float) -> None:
    recorded = room(delay_ms, -6)

    assert echo_reduction(recorded, find(recorded), AUDIBLE, EchoCanceller()) > 20


def test_a_null_canceller_removes_nothing() -> None:
    recorded = room(60, -6)

    assert echo_reduction(
        recorded, find(recorded), AUDIBLE, NullCanceller()
    ) == pytest.approx(0)


def test_a_canceller_with_wrong_times_leaves_the_echo() -> None:
    recorded = room(60, -6)

    assert echo_reduction(recorded, find(recorded), -5.0, EchoCanceller()) < 3
