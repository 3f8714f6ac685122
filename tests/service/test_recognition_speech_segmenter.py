"""The caller's sound between the wire and the recognizer."""

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


def signs(ears: SpeechSegmenter, pcm: bytes) -> list[TurnSignal]:
    return [sign for sign, _ in ears.hear(pcm)]


def sentence(rate: int = 24_000) -> bytes:
    return bytes(rate) + whistle(600, 0.8, rate) + bytes(2 * rate)


EXPECTED = [
    TurnSignal.STARTED,
    TurnSignal.GREW,
    TurnSignal.PAUSED,
    TurnSignal.ASK,
    TurnSignal.OVER,
]


@pytest.mark.parametrize(
    ("encoding", "sound"),
    [
        ("audio/pcm", sentence()),
        ("audio/pcmu", encode_mulaw(sentence(8_000))),
        ("audio/pcma", encode_alaw(sentence(8_000))),
    ],
)
def test_a_whistle_is_a_turn_in_every_encoding(encoding: str, sound: bytes) -> None:
    assert signs(SpeechSegmenter(EnergyVad(), encoding), sound) == EXPECTED


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9_999), min_size=1, max_size=30))
def test_it_does_not_matter_where_the_sound_is_cut(sizes: list[int]) -> None:
    ears, pcm, heard = SpeechSegmenter(EnergyVad(), "audio/pcm"), sentence(), []
    while pcm:
        for size in sizes:
            heard += signs(ears, pcm[:size])
            pcm = pcm[size:]

    assert heard == EXPECTED


def test_the_sound_of_a_turn_begins_a_little_before_its_onset() -> None:
    ears = SpeechSegmenter(EnergyVad(), "audio/pcm")

    [(_, sound)] = ears.hear(bytes(48_000) + whistle(600, 0.25))

    voiced = np.flatnonzero(np.abs(sound) > 0.01)
    assert 0.2 < voiced[0] / 16_000 < 0.4


def test_silence_is_not_kept() -> None:
    ears = SpeechSegmenter(EnergyVad(), "audio/pcm")
    ears.hear(bytes(48_000 * 60))

    assert ears.turn_seconds == 0


def test_of_a_speech_without_a_pause_the_last_half_minute_is_kept() -> None:
    ears = SpeechSegmenter(EnergyVad(), "audio/pcm")
    for _ in range(45):
        ears.hear(whistle(600, 1.0))

    assert 28 < ears.turn_seconds <= 29


def test_the_next_turn_has_its_own_sound() -> None:
    ears = SpeechSegmenter(EnergyVad(), "audio/pcm")
    ears.hear(sentence())
    ears.next_turn()

    assert ears.turn_seconds == 0
    assert len(ears.sound()) == 0
    assert signs(ears, sentence()) == EXPECTED


def test_the_last_speech_is_known_by_its_frame() -> None:
    ears = SpeechSegmenter(EnergyVad(), "audio/pcm")
    ears.hear(sentence())
    before = ears.last_voiced
    ears.hear(bytes(48_000))

    assert ears.last_voiced == before
    assert before < ears.heard_frames
