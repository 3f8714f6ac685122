from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.audio.pcm import duration_ms, loudness, to_samples
from runner.errors import SpeechError
from runner.speech.interfaces import Samples, Synthesizer
from runner.speech.synthesizer import (
    MAX_PIECE,
    PiperSynthesizer,
    ToneSynthesizer,
    load_piper,
    split_into_pieces,
    syllables,
)

LONG = (
    "I have found three flights that would suit you, the first leaves at seven in the "
    "morning and stops in Denver, the second leaves at noon, and the third one, which "
    "is the cheapest, leaves late in the evening and arrives on the next day."
)


def never() -> bool:
    return False


class TestPieces:
    def test_a_sentence_stays_whole(self) -> None:
        line = "Your order, which shipped yesterday, arrives on Friday."

        assert split_into_pieces(line) == [line]

    def test_a_long_sentence_is_cut_after_clauses(self) -> None:
        pieces = split_into_pieces(LONG)

        assert len(pieces) > 1
        assert all(piece.endswith((",", ".")) for piece in pieces)
        assert " ".join(pieces) == LONG

    def test_no_piece_is_longer_than_its_longest_clause_allows(self) -> None:
        clauses = ", ".join(["a clause of some thirty-six letters"] * 20)

        assert max(map(len, split_into_pieces(clauses))) <= MAX_PIECE

    @given(st.text(alphabet="ab ,;:.", max_size=400))
    def test_no_letter_is_lost(self, text: str) -> None:
        pieces = split_into_pieces(text)

        spoken = [letter for letter in "".join(pieces) if letter.isalnum()]
        assert spoken == [letter for letter in text if letter.isalnum()]

    @pytest.mark.parametrize("text", ["", "  ", "...", "- !"])
    def test_text_without_letters_has_no_pieces(self, text: str) -> None:
        assert split_into_pieces(text) == []


class TestTones:
    def speak(self, text: str) -> bytes:
        return b"".join(ToneSynthesizer().synthesize(text, never))

    def test_equal_texts_have_equal_audio(self) -> None:
        assert self.speak("Hello there.") == self.speak("Hello there.")

    def test_different_texts_have_different_audio(self) -> None:
        assert self.speak("one") != self.speak("two")

    def test_twice_the_syllables_take_longer(self) -> None:
        short, long = self.speak("Boston"), self.speak("Massachusetts")

        assert duration_ms(long) > 1.5 * duration_ms(short)

    def test_the_length_is_about_that_of_speech(self) -> None:
        audio = self.speak("What is the weather in Boston tomorrow?")

        assert 1500 < duration_ms(audio) < 4000

    def test_tones_are_audible_and_do_not_clip(self) -> None:
        audio = self.speak("Hello there.")

        assert -30 < loudness(audio) < -10
        assert np.abs(to_samples(audio)).max() < 0.5

    def test_it_stops_at_the_next_word(self) -> None:
        answers = iter([False, True, True])

        pieces = list(
            ToneSynthesizer().synthesize("one two three", lambda: next(answers))
        )

        assert len(pieces) == 1

    @settings(deadline=None)
    @given(st.text())
    def test_any_text_can_be_synthesized(self, text: str) -> None:
        for pcm in ToneSynthesizer().synthesize(text, never):
            assert len(pcm) % 2 == 0

    @pytest.mark.parametrize(
        ("word", "count"), [("hello", 2), ("1234", 4), ("hm", 1), ("Boston", 2)]
    )
    def test_syllables_are_counted_by_vowels(self, word: str, count: int) -> None:
        assert len(syllables(word)) == count


@dataclass
class Chunk:
    audio_float_array: Samples
    sample_rate: int = 22_050


@dataclass
class Engine:
    """Replaces Piper: a tenth of a second for each sentence; records its inputs."""

    asked: list[str] = field(default_factory=list)
    made: int = 0

    def synthesize(self, text: str, settings: object) -> Iterator[Chunk]:
        self.asked.append(text)
        for _sentence in filter(str.strip, text.split(".")):
            self.made += 1
            yield Chunk(np.full(2205, 0.5, np.float32))


class TestPiperVoice:
    def test_audio_is_resampled_to_24_khz(self) -> None:
        (pcm,) = PiperSynthesizer(Engine(), None).synthesize("Hello.", never)

        assert duration_ms(pcm) == pytest.approx(100, abs=0.1)

    def test_each_sentence_is_yielded_as_soon_as_it_is_synthesized(self) -> None:
        engine = Engine()

        audio = PiperSynthesizer(engine, None).synthesize("One. Two. Three.", never)

        next(audio)
        assert engine.made == 1

    def test_cancellation_stops_synthesis(self) -> None:
        engine, answers = Engine(), itertools.chain([False], itertools.repeat(True))
        voice = PiperSynthesizer(engine, None)

        pieces = list(voice.synthesize("One. Two. Three.", lambda: next(answers)))

        assert len(pieces) == 1
        assert engine.made == 1

    def test_markup_is_not_spoken(self) -> None:
        engine = Engine()

        list(PiperSynthesizer(engine, None).synthesize("**Order** `1234` [[x]]", never))

        assert engine.asked == ["Order 1234 x"]


def test_a_voice_without_its_description_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("piper")

    with pytest.raises(SpeechError, match="does not describe a Piper voice") as caught:
        load_piper(tmp_path / "voice.onnx")

    assert "'joe'" in (caught.value.hint or "")


def test_a_description_of_something_else_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("piper")
    (tmp_path / "voice.onnx.json").write_text(json.dumps({"audio": {}}))

    with pytest.raises(SpeechError, match="does not describe a Piper voice"):
        load_piper(tmp_path / "voice.onnx")


@pytest.mark.speech
class TestPiper:
    def test_the_pace_is_that_of_a_person(self, voice: Synthesizer) -> None:
        audio = b"".join(
            voice.synthesize("What is the weather in Boston tomorrow?", never)
        )

        assert 1500 < duration_ms(audio) < 4000
        assert -35 < loudness(audio) < -10

    def test_it_never_clips(self, voice: Synthesizer) -> None:
        audio = to_samples(
            b"".join(voice.synthesize("Stop! Peter, put that down!", never))
        )

        assert np.abs(audio).max() < 0.95

    def test_a_voice_is_deterministic(
        self, weights_of: Callable[[str, str], Path]
    ) -> None:
        path = weights_of("joe", "piper")
        first, second = (
            b"".join(load_piper(path).synthesize("Good morning.", never))
            for _ in range(2)
        )

        assert first == second

    def test_a_long_sentence_comes_in_pieces(self, voice: Synthesizer) -> None:
        pieces = list(voice.synthesize(LONG, never))

        assert len(pieces) > 1
        assert duration_ms(pieces[0]) < 9_000

    def test_text_without_words_is_silent(self, voice: Synthesizer) -> None:
        assert list(voice.synthesize("… — !", never)) == []
