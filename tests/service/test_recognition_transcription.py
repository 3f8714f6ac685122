"""Transcription and end-of-turn detection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from runner.errors import SpeechError
from runner.service.recognition import SpeechAnalyzer, is_stop_phrase
from runner.service.workers import Workers
from runner.speech.interfaces import Endpointer, Recognizer, Samples
from tests.service.scripted import ScriptedSpeech

AUDIO = np.zeros(16_000, np.float32)


class Fixed:
    """A recognizer and an end-of-turn model with one answer each."""

    def __init__(self, text: str, completeness: float = 0.0) -> None:
        self._text = text
        self._completeness = completeness
        self.terms: Sequence[str] = ()

    def transcribe(self, samples: Samples, *, key_terms: Sequence[str] = ()) -> str:
        self.terms = key_terms
        return self._text

    def completeness(self, samples: Samples) -> float:
        return self._completeness


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(1)
    yield made
    made.close()


def make_analyzer(
    workers: Workers, recognizer: Recognizer, endpointer: Endpointer | None = None
) -> SpeechAnalyzer:
    speech = ScriptedSpeech(
        {}, lambda context, history: [], recognizer=recognizer, endpointer=endpointer
    )
    return SpeechAnalyzer(speech, workers)


async def test_key_terms_reach_the_recognizer(workers: Workers) -> None:
    fixed = Fixed(" Acme. ")

    assert await make_analyzer(workers, fixed).transcribe(AUDIO, ("Acme",)) == "Acme."
    assert fixed.terms == ("Acme",)


@pytest.mark.parametrize(("likely", "expected"), [(0.5, True), (0.49, False)])
async def test_a_turn_is_complete_from_a_probability_of_one_half(
    workers: Workers, likely: float, expected: bool
) -> None:
    fixed = Fixed("", likely)
    analyzer = make_analyzer(workers, fixed, fixed)

    assert await analyzer.has_endpointer()
    assert await analyzer.is_complete(AUDIO) is expected


async def test_without_a_model_no_turn_is_complete(workers: Workers) -> None:
    analyzer = make_analyzer(workers, Fixed(""))

    assert not await analyzer.has_endpointer()
    assert not await analyzer.is_complete(AUDIO)


async def test_a_failing_model_is_named(workers: Workers) -> None:
    class Broken(Fixed):
        def transcribe(self, samples: Samples, *, key_terms: Sequence[str] = ()) -> str:
            raise RuntimeError("broke")

    with pytest.raises(SpeechError, match="speech recognition failed"):
        await make_analyzer(workers, Broken("")).transcribe(AUDIO, ())


@pytest.mark.parametrize("text", ["Stop.", "No, wait!", "hold on", "Hey"])
def test_stop_phrases(text: str) -> None:
    assert is_stop_phrase(text)


@pytest.mark.parametrize("text", ["", "Mhm.", "Yeah.", "Thank you.", "stopwatch"])
def test_other_text_is_not_a_stop_phrase(text: str) -> None:
    assert not is_stop_phrase(text)
