"""Transcription and end-of-turn detection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from runner.errors import SpeechError
from runner.service.recognition import SpeechAnalyzer, is_stop_phrase
from runner.service.workers import Workers
from runner.speech.interfaces import Endpointer, Recognizer, Samples, Transcript
from tests.service.scripted import ScriptedSpeech

SOUND = np.zeros(16_000, np.float32)


class Fixed:
    """A recognizer and an end-of-turn model with one answer each."""

    def __init__(self, transcript: Transcript, completeness: float = 0.0) -> None:
        self._transcript = transcript
        self._completeness = completeness
        self.terms: Sequence[str] = ()

    def transcribe(
        self, samples: Samples, *, key_terms: Sequence[str] = ()
    ) -> Transcript:
        self.terms = key_terms
        return self._transcript

    def completeness(self, samples: Samples) -> float:
        return self._completeness


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(1)
    yield made
    made.close()


def understanding(
    workers: Workers, recognizer: Recognizer, endpointer: Endpointer | None = None
) -> SpeechAnalyzer:
    speech = ScriptedSpeech(
        {}, lambda brief, history: [], recognizer=recognizer, endpointer=endpointer
    )
    return SpeechAnalyzer(speech, workers)


async def test_key_terms_reach_the_recognizer(workers: Workers) -> None:
    fixed = Fixed(Transcript(" Acme. "))

    assert await understanding(workers, fixed).transcribe(SOUND, ("Acme",)) == "Acme."
    assert fixed.terms == ("Acme",)


@pytest.mark.parametrize(("no_speech", "text"), [(0.6, "Hello."), (0.61, "")])
async def test_text_counts_if_there_was_probably_speech(
    workers: Workers, no_speech: float, text: str
) -> None:
    fixed = Fixed(Transcript("Hello.", no_speech))

    assert await understanding(workers, fixed).transcribe(SOUND, ()) == text


@pytest.mark.parametrize(("likely", "expected"), [(0.5, True), (0.49, False)])
async def test_a_turn_is_complete_when_that_is_likelier_than_not(
    workers: Workers, likely: float, expected: bool
) -> None:
    fixed = Fixed(Transcript(""), likely)
    judge = understanding(workers, fixed, fixed)

    assert await judge.has_endpointer()
    assert await judge.is_complete(SOUND) is expected


async def test_without_a_model_no_turn_is_complete(workers: Workers) -> None:
    judge = understanding(workers, Fixed(Transcript("")))

    assert not await judge.has_endpointer()
    assert not await judge.is_complete(SOUND)


async def test_a_model_that_fails_is_named(workers: Workers) -> None:
    class Broken(Fixed):
        def transcribe(
            self, samples: Samples, *, key_terms: Sequence[str] = ()
        ) -> Transcript:
            raise RuntimeError("broke")

    with pytest.raises(SpeechError, match="speech recognition failed"):
        await understanding(workers, Broken(Transcript(""))).transcribe(SOUND, ())


@pytest.mark.parametrize("text", ["Stop.", "No, wait!", "hold on", "Hey"])
def test_words_that_want_silence(text: str) -> None:
    assert is_stop_phrase(text)


@pytest.mark.parametrize("text", ["", "Mhm.", "Yeah.", "Thank you.", "stopwatch"])
def test_words_that_do_not(text: str) -> None:
    assert not is_stop_phrase(text)
