from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from runner.speech.interfaces import SPEECH_RATE, Endpointer, Samples
from runner.speech.vad import WINDOW, Network, SmartTurn

Spoken = Callable[[str], Samples]
PAUSE = np.zeros(SPEECH_RATE // 5, np.float32)  # when it is asked: 200 ms of silence


class Session:
    """Replaces the engine's session; records its inputs."""

    def __init__(self) -> None:
        self.features = np.zeros(0, np.float32)

    def run(self, wanted: None, inputs: dict[str, Any]) -> list[Any]:
        self.features = inputs["input_features"]
        return [np.array([[0.25]], np.float32)]


def features_of(samples: Samples) -> Samples:
    session = Session()
    SmartTurn(Network(session)).completeness(samples)
    return session.features


@pytest.mark.parametrize("seconds", [0.2, 8.0, 20.0])
def test_the_input_is_always_eight_seconds(seconds: float) -> None:
    sound = np.ones(round(seconds * SPEECH_RATE), np.float32)

    assert features_of(sound).shape == (1, 80, 800)


def test_a_long_turn_is_cut_at_its_start() -> None:
    random = np.random.default_rng(5)
    end = random.standard_normal(WINDOW).astype(np.float32)
    before = random.standard_normal(WINDOW).astype(np.float32)

    assert np.array_equal(features_of(np.concatenate([before, end])), features_of(end))


def test_a_short_turn_is_at_the_end_of_the_window() -> None:
    sound = np.random.default_rng(5).standard_normal(SPEECH_RATE).astype(np.float32)

    loudness = features_of(sound)[0].mean(axis=0)

    assert loudness[-100:].mean() > loudness[:690].mean() + 1.0


def test_the_output_of_the_network_is_returned() -> None:
    turn = SmartTurn(Network(Session()))

    assert turn.completeness(PAUSE) == 0.25


@pytest.mark.speech
class TestSmartTurn:
    @pytest.mark.parametrize(
        "line",
        [
            "Where is my order?",
            "I want to return the shoes I bought last week.",
            "What's the weather like in Boston tomorrow?",
        ],
    )
    def test_a_finished_request_is_complete(
        self, smart_turn: Endpointer, spoken: Spoken, line: str
    ) -> None:
        heard = np.concatenate([spoken(line), PAUSE])

        assert smart_turn.completeness(heard) >= 0.5

    def test_a_request_cut_in_the_middle_of_a_word_is_less_complete(
        self, smart_turn: Endpointer, spoken: Spoken
    ) -> None:
        whole = spoken("I want to return the shoes I bought last week.")
        cut = whole[: len(whole) * 2 // 5]

        complete = smart_turn.completeness(np.concatenate([whole, PAUSE]))
        broken = smart_turn.completeness(np.concatenate([cut, PAUSE]))

        assert broken < complete
