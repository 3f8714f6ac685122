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
from runner.speech.interfaces import SPEECH_RATE, Recognizer, Samples, Transcript
from runner.speech.recognizer import (
    FULL_WINDOW,
    MIN_SPEECH,
    MIN_WINDOW,
    TAIL,
    ScriptedRecognizer,
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
    def test_they_make_up_the_whole_and_fit_the_window(
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

    def test_a_click_is_not_a_speech(self) -> None:
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
def test_three_times_the_same_in_a_row_is_a_repetition(text: str, answer: bool) -> None:
    assert repeats_itself(text) is answer


def test_a_script_is_heard_line_by_line_and_then_nothing() -> None:
    recognizer = ScriptedRecognizer(["Hello.", "Where is my order?"])

    heard = [recognizer.transcribe(SECOND).text for _ in range(3)]

    assert heard == ["Hello.", "Where is my order?", ""]


@dataclass
class Result:
    sequences_ids: list[list[int]]
    no_speech_prob: float = 0.0


class Engine:
    """Stands for CTranslate2's model: gives set answers, keeps what it was asked."""

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
    """What is asked of the engine, and what is made of its answers."""

    @pytest.fixture(autouse=True)
    def _engine_is_installed(self) -> None:
        pytest.importorskip("ctranslate2")

    def hear(
        self,
        seconds: float,
        *texts: str,
        no_speech: float = 0.0,
        key_terms: Sequence[str] = (),
    ) -> tuple[Transcript, Engine]:
        tokenizer = Tokenizer()
        engine = Engine(*(Result([tokenizer.tokens(t)], no_speech) for t in texts))
        recognizer = WhisperRecognizer(engine, tokenizer)
        sound = np.ones(round(seconds * SPEECH_RATE), np.float32)
        return recognizer.transcribe(sound, key_terms=key_terms), engine

    @pytest.mark.parametrize(
        ("seconds", "window"), [(1.0, 8.0), (7.0, 8.0), (9.0, 10.0), (28.9, 29.9)]
    )
    def test_the_window_follows_the_speech(self, seconds: float, window: float) -> None:
        transcript, engine = self.hear(seconds, "Hello there.")

        assert transcript.text == "Hello there."
        assert engine.frames == [pytest.approx(window * 100, abs=2)]
        assert engine.frames[0] % 2 == 0

    def test_a_loop_is_cut_and_read_again_in_the_full_window(self) -> None:
        loop = "and so on " * 10

        transcript, engine = self.hear(1.0, loop, "And so on.")

        assert engine.budgets[0] == 14  # eight and six a second
        assert engine.frames == [
            MIN_WINDOW // 160,
            FULL_WINDOW // 160,
        ]
        assert transcript.text == "And so on."

    def test_a_text_that_repeats_itself_is_read_again(self) -> None:
        _transcript, engine = self.hear(9.0, "again again " * 20, "Again.")

        assert len(engine.frames) == 2

    def test_what_is_said_when_nobody_speaks_is_not_believed(self) -> None:
        transcript, _engine = self.hear(1.0, "Thank you.", no_speech=0.9)

        assert transcript == Transcript("", 0.9)

    def test_key_terms_come_before_the_speech(self) -> None:
        _transcript, engine = self.hear(1.0, "Hi.", key_terms=["Acme", "SKU"])
        _transcript, bare = self.hear(1.0, "Hi.")

        added = engine.prompts[0][: -len(bare.prompts[0])]
        assert added[0] >= Tokenizer.SPECIAL
        assert len(added) == 1 + len(["Glossary:", "Acme,", "SKU."])

    def test_nothing_to_hear_asks_nothing_of_the_engine(self) -> None:
        transcript, engine = self.hear(0.01)

        assert transcript == Transcript("", 1.0)
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
    def test_it_hears_what_the_voice_says(
        self, recognizer: Recognizer, spoken: Spoken, line: str
    ) -> None:
        assert words(recognizer.transcribe(spoken(line)).text) == words(line)

    def test_a_spoken_number_is_heard_as_digits(
        self, recognizer: Recognizer, spoken: Spoken
    ) -> None:
        heard = recognizer.transcribe(spoken("Order number four five one two."))

        assert "4512" in re.sub(r"\D", "", heard.text)

    def test_silence_and_noise_hold_no_words(
        self, recognizer: Recognizer, noise: Samples
    ) -> None:
        assert recognizer.transcribe(np.zeros(SPEECH_RATE, np.float32)).text == ""
        assert recognizer.transcribe(noise).text == ""

    def test_key_terms_teach_a_spelling(
        self, recognizer: Recognizer, spoken: Spoken
    ) -> None:
        sound = spoken("My Braxxon vacuum cleaner makes a strange noise.")
        assert "Braxxon" not in recognizer.transcribe(sound).text

        heard = recognizer.transcribe(sound, key_terms=["Braxxon", "Nimbutec"])

        assert "Braxxon" in heard.text

    def test_speech_longer_than_its_window_is_heard_to_the_end(
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

        assert "strawberry" in recognizer.transcribe(sound).text


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())
