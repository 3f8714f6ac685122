"""The canceller by itself, and what is said where its package is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from runner.audio.devices import SAMPLE_RATE
from runner.audio.echo import (
    INSTALL_COMMAND,
    PIECE_SAMPLES,
    WebRtcProcessor,
    is_canceller_available,
)
from runner.audio.pcm import Samples
from runner.errors import AudioUnavailable
from tests.audio.rooms import decibels, speechlike

# How much later the canceller hands out what it is given, in samples.
DELAY = round(0.009 * SAMPLE_RATE)


def cleaned(heard: Samples, played: Samples, canceller: WebRtcProcessor) -> Samples:
    pieces = [
        canceller.process(
            heard[start : start + PIECE_SAMPLES], played[start : start + PIECE_SAMPLES]
        )
        for start in range(0, len(heard) - PIECE_SAMPLES + 1, PIECE_SAMPLES)
    ]
    return np.concatenate(pieces)


def test_without_its_package_the_canceller_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)  # as if not installed

    assert not is_canceller_available()
    with pytest.raises(AudioUnavailable, match="pywebrtc-audio") as caught:
        WebRtcProcessor()
    assert INSTALL_COMMAND in (caught.value.hint or "")
    assert "--echo half-duplex" in (caught.value.hint or "")


@pytest.fixture
def canceller() -> WebRtcProcessor:
    pytest.importorskip("pywebrtc_audio", reason="the desk extra is not installed")
    return WebRtcProcessor()


def test_with_its_package_it_is_available(canceller: WebRtcProcessor) -> None:
    assert is_canceller_available()


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.15, 0.3])
def test_what_was_played_is_taken_out_of_what_was_heard(
    canceller: WebRtcProcessor, delay: float
) -> None:
    played = speechlike(4.0)
    late = round(delay * SAMPLE_RATE)
    heard = 0.3 * np.concatenate((np.zeros(late, np.float32), played))[: len(played)]

    output = cleaned(heard.astype(np.float32), played, canceller)

    later = slice(2 * SAMPLE_RATE, None)
    assert decibels(output[later]) < decibels(heard[later]) - 20


def test_what_was_heard_alone_comes_out_nine_milliseconds_later(
    canceller: WebRtcProcessor,
) -> None:
    heard = speechlike(3.0)

    output = cleaned(heard, np.zeros_like(heard), canceller)

    early = heard[SAMPLE_RATE : 2 * SAMPLE_RATE]
    shifts = range(480)
    fit = [early @ output[SAMPLE_RATE + s : 2 * SAMPLE_RATE + s] for s in shifts]
    assert int(np.argmax(fit)) == pytest.approx(DELAY, abs=48)
    assert len(output) == len(heard)
    assert decibels(output) == pytest.approx(decibels(heard), abs=1)


def test_with_neither_echo_nor_noise_audio_passes(canceller: WebRtcProcessor) -> None:
    del canceller  # it is installed
    heard = speechlike(2.0)

    output = cleaned(heard, heard, WebRtcProcessor(echo=False))

    assert decibels(output) == pytest.approx(decibels(heard), abs=1)


def test_comfort_noise_dies_away_where_there_is_silence(
    canceller: WebRtcProcessor,
) -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)

    output = cleaned(silence, speechlike(1.0), canceller)

    assert decibels(output) < -60
    assert decibels(output[SAMPLE_RATE // 2 :]) < -90
