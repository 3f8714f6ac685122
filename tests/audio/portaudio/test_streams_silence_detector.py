"""Digital silence is distinguished from a quiet room."""

import numpy as np
import pytest

from runner.audio.portaudio.streams import (
    SILENCE_SECONDS,
    SilenceDetector,
    describe_silence,
)

RATE = 48_000
BLOCKS = round(SILENCE_SECONDS * 100)


def block(value: int = 0, channels: int = 2) -> bytes:
    return np.full(RATE // 100 * channels, value, "<i2").tobytes()


@pytest.mark.parametrize("value", [0, -3])
def test_a_constant_is_silence_after_its_time_and_not_before(value: int) -> None:
    watch = SilenceDetector(RATE, 2)
    for _ in range(BLOCKS - 1):
        watch.feed(block(value))
        assert not watch.is_silent
    watch.feed(block(value))
    assert watch.is_silent


def test_one_sample_of_noise_proves_that_there_is_audio() -> None:
    watch = SilenceDetector(RATE, 2)
    noisy = bytearray(block())
    noisy[100] = 1
    watch.feed(bytes(noisy))
    for _ in range(2 * BLOCKS):
        watch.feed(block())
    assert not watch.is_silent


def test_two_channels_that_differ_are_silence_as_long_as_both_stand_still() -> None:
    watch = SilenceDetector(RATE, 2)
    for _ in range(BLOCKS):
        watch.feed(np.tile([5, -7], RATE // 100).astype("<i2").tobytes())
    assert watch.is_silent


@pytest.mark.parametrize(
    ("system", "advice"),
    [("darwin", "System Settings"), ("win32", "desktop apps"), ("linux", "unmute")],
)
def test_the_advice_is_of_the_platform(system: str, advice: str) -> None:
    text = describe_silence("Mic", system)
    assert advice in text
    assert "'Mic'" in text
    assert "--input-device" in text
