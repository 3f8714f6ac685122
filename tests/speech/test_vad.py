from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from runner.speech.interfaces import SPEECH_RATE, VAD_FRAME, Samples, Vad
from runner.speech.vad import EnergyVad

Spoken = Callable[[str], Samples]
SILENCE = np.zeros(SPEECH_RATE, np.float32)


def probabilities(vad: Vad, samples: Samples) -> list[float]:
    starts = range(0, len(samples) - VAD_FRAME + 1, VAD_FRAME)
    return [vad.probability(samples[at : at + VAD_FRAME]) for at in starts]


def share_of_speech(vad: Vad, samples: Samples) -> float:
    return float(np.mean([p >= 0.5 for p in probabilities(vad, samples)]))


def hum(seconds: float, level: float) -> Samples:
    time = np.arange(round(SPEECH_RATE * seconds)) / SPEECH_RATE
    return (level * np.sin(2 * np.pi * 200 * time)).astype(np.float32)


def test_loud_audio_over_a_quiet_floor_counts_as_speech(noise: Samples) -> None:
    vad = EnergyVad()
    probabilities(vad, noise)

    assert share_of_speech(vad, hum(0.5, 0.1)) == 1.0
    assert share_of_speech(vad, noise) == 0.0


def test_speech_at_the_start_of_a_call_is_detected() -> None:
    assert share_of_speech(EnergyVad(), hum(0.5, 0.1)) == 1.0


def test_digital_silence_is_not_speech() -> None:
    assert share_of_speech(EnergyVad(), SILENCE) == 0.0


def test_the_floor_adapts_to_steady_noise() -> None:
    vad, steady = EnergyVad(), hum(15.0, 0.05)

    assert share_of_speech(vad, steady[: SPEECH_RATE // 2]) == 1.0
    share_of_speech(vad, steady)
    assert share_of_speech(vad, steady[:SPEECH_RATE]) == 0.0


def test_reset_restores_the_floor() -> None:
    vad, steady = EnergyVad(), hum(15.0, 0.02)
    before = vad.probability(steady[:VAD_FRAME])
    probabilities(vad, steady)

    vad.reset()

    assert vad.probability(steady[:VAD_FRAME]) == before


def test_a_frame_of_another_length_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="512 samples"):
        EnergyVad().probability(SILENCE[:256])


@pytest.mark.speech
class TestSilero:
    def test_start_and_end_of_a_sentence_are_detected(
        self, silero: Callable[[], Vad], spoken: Spoken, noise: Samples
    ) -> None:
        sentence = spoken("Where is my order?")
        sound = np.concatenate([noise, sentence, noise])

        speaking = [p >= 0.5 for p in probabilities(silero(), sound)]

        first, last = speaking.index(True), len(speaking) - speaking[::-1].index(True)
        assert first * VAD_FRAME == pytest.approx(len(noise), abs=0.15 * SPEECH_RATE)
        end = len(noise) + len(sentence)
        assert last * VAD_FRAME == pytest.approx(end, abs=0.3 * SPEECH_RATE)

    def test_noise_and_tones_are_not_speech(
        self, silero: Callable[[], Vad], noise: Samples
    ) -> None:
        assert share_of_speech(silero(), noise) == 0.0
        assert share_of_speech(silero(), hum(1.0, 0.2)) < 0.2

    def test_sessions_do_not_disturb_each_other(
        self, silero: Callable[[], Vad], spoken: Spoken
    ) -> None:
        sentence = spoken("Good morning.")
        alone = probabilities(silero(), sentence)
        here, there = silero(), silero()

        beside = []
        for at in range(0, len(sentence) - VAD_FRAME + 1, VAD_FRAME):
            beside.append(here.probability(sentence[at : at + VAD_FRAME]))
            there.probability(SILENCE[:VAD_FRAME])

        assert beside == alone

    def test_reset_restores_the_initial_state(
        self, silero: Callable[[], Vad], spoken: Spoken
    ) -> None:
        vad, sentence = silero(), spoken("Good morning.")
        first = probabilities(vad, sentence)

        vad.reset()

        assert probabilities(vad, sentence) == first
