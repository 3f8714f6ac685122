"""Segmentation of the caller's audio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.audio.pcm import encode_alaw, encode_mulaw
from runner.service.endpointing import TurnSignal
from runner.service.recognition import SpeechSegmenter
from runner.speech.vad import EnergyVad
from tests.service.scripted import whistle


def signals(segmenter: SpeechSegmenter, pcm: bytes) -> list[TurnSignal]:
    return [signal for signal, _ in segmenter.process(pcm)]


def sentence(rate: int = 24_000) -> bytes:
    return bytes(rate) + whistle(600, 0.8, rate) + bytes(2 * rate)


EXPECTED = [
    TurnSignal.STARTED,
    TurnSignal.CONTINUED,
    TurnSignal.PAUSED,
    TurnSignal.MAYBE_ENDED,
    TurnSignal.ENDED,
]


@pytest.mark.parametrize(
    ("encoding", "audio"),
    [
        ("audio/pcm", sentence()),
        ("audio/pcmu", encode_mulaw(sentence(8_000))),
        ("audio/pcma", encode_alaw(sentence(8_000))),
    ],
)
def test_a_whistle_is_a_turn_in_every_encoding(encoding: str, audio: bytes) -> None:
    assert signals(SpeechSegmenter(EnergyVad(), encoding), audio) == EXPECTED


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9_999), min_size=1, max_size=30))
def test_audio_may_be_cut_anywhere(sizes: list[int]) -> None:
    segmenter, pcm, heard = SpeechSegmenter(EnergyVad(), "audio/pcm"), sentence(), []
    while pcm:
        for size in sizes:
            heard += signals(segmenter, pcm[:size])
            pcm = pcm[size:]

    assert heard == EXPECTED


def test_the_audio_of_a_turn_starts_shortly_before_its_onset() -> None:
    segmenter = SpeechSegmenter(EnergyVad(), "audio/pcm")

    [(_, audio)] = segmenter.process(bytes(48_000) + whistle(600, 0.25))

    voiced = np.flatnonzero(np.abs(audio) > 0.01)
    assert 0.2 < voiced[0] / 16_000 < 0.4


def test_silence_is_not_kept() -> None:
    segmenter = SpeechSegmenter(EnergyVad(), "audio/pcm")
    segmenter.process(bytes(48_000 * 60))

    assert segmenter.turn_seconds == 0


def test_of_a_speech_without_a_pause_the_last_half_minute_is_kept() -> None:
    segmenter = SpeechSegmenter(EnergyVad(), "audio/pcm")
    for _ in range(45):
        segmenter.process(whistle(600, 1.0))

    assert 28 < segmenter.turn_seconds <= 29


def test_the_next_turn_has_only_its_own_audio() -> None:
    segmenter = SpeechSegmenter(EnergyVad(), "audio/pcm")
    segmenter.process(sentence())
    segmenter.reset_turn()

    assert segmenter.turn_seconds == 0
    assert len(segmenter.audio()) == 0
    assert signals(segmenter, sentence()) == EXPECTED


def test_the_last_speech_is_known_by_its_frame() -> None:
    segmenter = SpeechSegmenter(EnergyVad(), "audio/pcm")
    segmenter.process(sentence())
    before = segmenter.last_voiced
    segmenter.process(bytes(48_000))

    assert segmenter.last_voiced == before
    assert before < segmenter.frames
