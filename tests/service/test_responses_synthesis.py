"""Synthesis of clauses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from runner.audio.pcm import decode_alaw, decode_mulaw, to_samples
from runner.protocol.server.config import Settings, apply_update, default_settings
from runner.service.responses import SpeechSynthesizer, sentences
from runner.service.workers import Workers
from runner.speech.interfaces import Cancelled
from tests.service.scripted import ScriptedSpeech, whistle


class CountingSynthesizer:
    """Whistles for half a second between two long silences."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def synthesize(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        self.said.append(text)
        yield bytes(24_000)
        yield whistle(440, 0.5)
        yield bytes(48_000)


def configured(**output: object) -> Settings:
    outcome = apply_update(default_settings(), {"output": output}, first=True)
    assert isinstance(outcome, Settings)
    return outcome


@pytest.fixture
def voice() -> CountingSynthesizer:
    return CountingSynthesizer()


@pytest.fixture
def synthesizer(voice: CountingSynthesizer) -> Iterator[SpeechSynthesizer]:
    workers = Workers(2)
    speech = ScriptedSpeech({}, lambda context, history: [], voice=voice)
    yield SpeechSynthesizer(speech, workers)
    workers.close()


def never() -> bool:
    return False


async def test_silence_around_a_clause_is_removed(
    synthesizer: SpeechSynthesizer,
) -> None:
    clause = await synthesizer.synthesize("Hello.", configured(), never)

    assert clause.text == "Hello."
    assert clause.duration_ms == pytest.approx(500 + 10 + 125, abs=5)
    loud = np.flatnonzero(np.abs(to_samples(clause.pcm)) > 0.01)
    assert loud[0] < 24_000 * 0.02


async def test_telephone_audio_has_a_third_of_the_rate_and_half_the_width(
    synthesizer: SpeechSynthesizer,
) -> None:
    plain = await synthesizer.synthesize("Hello.", configured(), never)
    for encoding, decode in (
        ("audio/pcmu", decode_mulaw),
        ("audio/pcma", decode_alaw),
    ):
        settings = configured(format={"encoding": encoding})
        coded = await synthesizer.synthesize("Hello.", settings, never)

        assert len(coded.pcm) == pytest.approx(len(plain.pcm) / 6, abs=2)
        assert coded.duration_ms == plain.duration_ms
        spectrum = np.abs(np.fft.rfft(to_samples(decode(coded.pcm))))
        pitch = np.argmax(spectrum) * 8_000 / len(coded.pcm)
        assert pitch == pytest.approx(440, abs=5)


async def test_volume_is_applied(synthesizer: SpeechSynthesizer) -> None:
    full = to_samples((await synthesizer.synthesize("Hello.", configured(), never)).pcm)
    half = to_samples(
        (await synthesizer.synthesize("Hello.", configured(volume=50), never)).pcm
    )

    assert np.max(np.abs(half)) == pytest.approx(np.max(np.abs(full)) / 2, rel=0.01)


async def test_short_and_kept_clauses_are_synthesized_once(
    synthesizer: SpeechSynthesizer, voice: CountingSynthesizer
) -> None:
    greeting, answer = "Hello, " * 10, "Well, " * 11
    await synthesizer.prepare(greeting)
    await synthesizer.synthesize(greeting, configured(), never, keep=True)
    for text in ("Bye.", "Bye.", answer, answer):
        await synthesizer.synthesize(text, configured(), never)

    assert voice.said == [greeting, "Bye.", answer, answer]


async def test_a_cancelled_clause_is_not_cached(
    synthesizer: SpeechSynthesizer, voice: CountingSynthesizer
) -> None:
    await synthesizer.synthesize("Hello.", configured(), lambda: True)
    await synthesizer.synthesize("Hello.", configured(), never)

    assert voice.said == ["Hello.", "Hello."]


async def test_the_least_recently_used_clause_leaves_the_cache(
    synthesizer: SpeechSynthesizer, voice: CountingSynthesizer
) -> None:
    for number in range(65):
        await synthesizer.synthesize("Hello.", configured(), never)
        await synthesizer.synthesize(f"phrase {number}", configured(), never)
    voice.said.clear()

    for text in ("Hello.", "phrase 0"):
        await synthesizer.synthesize(text, configured(), never)

    assert voice.said == ["phrase 0"]


async def test_text_only_replies_are_not_synthesized(
    synthesizer: SpeechSynthesizer, voice: CountingSynthesizer
) -> None:
    clause = await synthesizer.synthesize("Hello.", configured(type="text"), never)

    assert (clause.text, clause.pcm, voice.said) == ("Hello.", b"", [])


def test_text_is_split_into_sentences() -> None:
    assert sentences(" Hi. How are you?  Well! ") == ["Hi.", "How are you?", "Well!"]
    assert sentences("It costs 3.50 euros") == ["It costs 3.50 euros"]
    assert sentences("  ") == []
