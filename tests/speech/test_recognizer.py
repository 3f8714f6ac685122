from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import SpeechError
from runner.speech.interfaces import SPEECH_RATE, Recognizer, Samples
from runner.speech.recognizer import (
    FULL_WINDOW,
    MIN_SPEECH,
    MIN_WINDOW,
    TAIL,
    WhisperRecognizer,
    load_whisper,
    repeats_itself,
    split_at_pauses,
)

Spoken = Callable[[str], Samples]
EMPTY_TOKENIZER = (
    '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""}}'
)
SECOND = np.ones(SPEECH_RATE, np.float32)


class TestPieces:
    @given(st.integers(MIN_SPEECH, 4 * FULL_WINDOW), st.randoms())
    @settings(max_examples=30, deadline=None)
    def test_pieces_add_up_to_the_whole_and_fit_the_window(
        self, count: int, random: Any
    ) -> None:
        sound = np.arange(count, dtype=np.float32)

        pieces = list(split_at_pauses(sound))

        assert all(len(piece) <= FULL_WINDOW - TAIL for piece in pieces)
        whole = np.concatenate(pieces)
        # A last bit in which no word fits may be left out.
        assert np.array_equal(whole, sound[: len(whole)])
        assert len(sound) - len(whole) < MIN_SPEECH

    def test_the_cut_falls_into_the_pause(self) -> None:
        sound = np.tile(SECOND, 40)
        sound[25 * SPEECH_RATE : 26 * SPEECH_RATE] = 0.0

        first, _rest = split_at_pauses(sound)

        assert 25 <= len(first) / SPEECH_RATE <= 26

    def test_a_click_is_not_speech(self) -> None:
        assert list(split_at_pauses(SECOND[: MIN_SPEECH - 1])) == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Fail again. Fail again. Fail again. Fail", True),
        ("so it went on and on and on and on and on", True),
        ("No, no, no!", True),
        ("Try again. Fail again. Fail better.", False),
        ("five five five, no: 5 5 5 0 1 9 8", True),
        ("It is 5 5 5 0 1 9 8.", False),
        ("It was the age of wisdom, it was the age of foolishness.", False),
        ("", False),
    ],
)
def test_three_equal_sequences_are_a_repetition(text: str, answer: bool) -> None:
    assert repeats_itself(text) is answer


@dataclass
class Result:
    sequences_ids: list[list[int]]
    no_speech_prob: float = 0.0


class Engine:
    """Replaces CTranslate2's model: returns fixed answers and records its inputs."""

    def __init__(self, *answers: Result) -> None:
        self.answers = list(answers)
        self.frames: list[int] = []
        self.prompts: list[list[int]] = []
        self.budgets: list[int] = []

    def generate(
        self, features: Any, prompts: list[list[int]], **options: Any
    ) -> list[Result]:
        self.frames.append(features.shape[2])
        self.prompts.append(prompts[0])
        self.budgets.append(options["max_length"] - len(prompts[0]))
        return [self.answers.pop(0)]


class Tokenizer:
    """Every word is a token, numbered as it comes."""

    SPECIAL = 1000

    def __init__(self) -> None:
        self.words: list[str] = []
        self.specials: list[str] = ["<|endoftext|>"]

    def token_to_id(self, token: str) -> int:
        if token not in self.specials:
            self.specials.append(token)
        return self.SPECIAL + self.specials.index(token)

    def tokens(self, text: str) -> list[int]:
        start = len(self.words)
        self.words += text.split()
        return list(range(start, len(self.words)))

    def encode(self, text: str, add_special_tokens: bool) -> Any:
        assert not add_special_tokens
        return type("Encoding", (), {"ids": self.tokens(text)})

    def decode(self, tokens: Sequence[int]) -> str:
        return " " + " ".join(self.words[token] for token in tokens)


class TestDecoding:
    """Requests to the engine, and the use of its answers."""

    @pytest.fixture(autouse=True)
    def _engine_is_installed(self) -> None:
        pytest.importorskip("ctranslate2")

    def transcribe(
        self,
        seconds: float,
        *texts: str,
        no_speech: float = 0.0,
        key_terms: Sequence[str] = (),
    ) -> tuple[str, Engine]:
        tokenizer = Tokenizer()
        engine = Engine(*(Result([tokenizer.tokens(t)], no_speech) for t in texts))
        recognizer = WhisperRecognizer(engine, tokenizer)
        sound = np.ones(round(seconds * SPEECH_RATE), np.float32)
        return recognizer.transcribe(sound, key_terms=key_terms), engine

    @pytest.mark.parametrize(
        ("seconds", "window"), [(1.0, 8.0), (7.0, 8.0), (9.0, 10.0), (28.9, 29.9)]
    )
    def test_the_window_follows_the_speech(self, seconds: float, window: float) -> None:
        transcript, engine = self.transcribe(seconds, "Hello there.")

        assert transcript == "Hello there."
        assert engine.frames == [pytest.approx(window * 100, abs=2)]
        assert engine.frames[0] % 2 == 0

    def test_a_loop_is_decoded_again_in_the_full_window(self) -> None:
        loop = "and so on " * 10

        transcript, engine = self.transcribe(1.0, loop, "And so on.")

        assert engine.budgets[0] == 14  # eight and six a second
        assert engine.frames == [
            MIN_WINDOW // 160,
            FULL_WINDOW // 160,
        ]
        assert transcript == "And so on."

    def test_repetitive_text_is_decoded_again(self) -> None:
        _transcript, engine = self.transcribe(9.0, "again again " * 20, "Again.")

        assert len(engine.frames) == 2

    @pytest.mark.parametrize(("no_speech", "text"), [(0.6, "Thank you."), (0.61, "")])
    def test_text_is_dropped_if_there_is_probably_no_speech(
        self, no_speech: float, text: str
    ) -> None:
        transcript, _engine = self.transcribe(1.0, "Thank you.", no_speech=no_speech)

        assert transcript == text

    def test_key_terms_come_before_the_speech(self) -> None:
        _transcript, engine = self.transcribe(1.0, "Hi.", key_terms=["Acme", "SKU"])
        _transcript, bare = self.transcribe(1.0, "Hi.")

        added = engine.prompts[0][: -len(bare.prompts[0])]
        assert added[0] >= Tokenizer.SPECIAL
        assert len(added) == 1 + len(["Glossary:", "Acme,", "SKU."])

    def test_too_short_audio_is_not_decoded(self) -> None:
        transcript, engine = self.transcribe(0.01)

        assert transcript == ""
        assert engine.frames == []

    def test_a_folder_without_a_model_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(SpeechError, match=r"'tokenizer\.json' is missing"):
            load_whisper(tmp_path)

        (tmp_path / "tokenizer.json").write_text("{}")
        with pytest.raises(SpeechError, match=r"cannot load the tokenizer"):
            load_whisper(tmp_path)

        (tmp_path / "tokenizer.json").write_text(EMPTY_TOKENIZER)
        with pytest.raises(SpeechError, match="cannot load Whisper"):
            load_whisper(tmp_path)


@pytest.mark.speech
class TestWhisper:
    @pytest.mark.parametrize(
        "line",
        [
            "How much does the large one cost with shipping?",
            "I would like to speak to a person, please.",
            "What is the weather in Boston tomorrow?",
            "Thank you very much. Goodbye.",
        ],
    )
    def test_synthesized_speech_is_transcribed(
        self, recognizer: Recognizer, spoken: Spoken, line: str
    ) -> None:
        assert words(recognizer.transcribe(spoken(line))) == words(line)

    def test_a_spoken_number_is_transcribed_as_digits(
        self, recognizer: Recognizer, spoken: Spoken
    ) -> None:
        heard = recognizer.transcribe(spoken("Order number four five one two."))

        assert "4512" in re.sub(r"\D", "", heard)

    def test_silence_and_noise_have_no_text(
        self, recognizer: Recognizer, noise: Samples
    ) -> None:
        assert recognizer.transcribe(np.zeros(SPEECH_RATE, np.float32)) == ""
        assert recognizer.transcribe(noise) == ""

    def test_key_terms_teach_a_spelling(
        self, recognizer: Recognizer, spoken: Spoken
    ) -> None:
        sound = spoken("My Braxxon vacuum cleaner makes a strange noise.")
        assert "Braxxon" not in recognizer.transcribe(sound)

        heard = recognizer.transcribe(sound, key_terms=["Braxxon", "Nimbutec"])

        assert "Braxxon" in heard

    def test_speech_longer_than_the_window_is_transcribed_to_its_end(
        self, recognizer: Recognizer, spoken: Spoken
    ) -> None:
        pause = np.zeros(SPEECH_RATE, np.float32)
        lines = [
            "I would like to change the delivery address of my last order.",
            "The parcel was meant for my old flat in the north of the city.",
            "My sister lives there now, and she is away until the weekend.",
            "Could you bring it to my office instead, which is close to the station?",
            "Somebody is at the front desk from eight until six on every working day.",
            "If that is not possible, I can come and pick it up tomorrow evening.",
            "Please send me a short message as soon as you know what can be done.",
            "The last word of all this is strawberry.",
        ]
        sound = np.concatenate([part for ln in lines for part in (spoken(ln), pause)])
        assert len(sound) > FULL_WINDOW

        assert "strawberry" in recognizer.transcribe(sound)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())
