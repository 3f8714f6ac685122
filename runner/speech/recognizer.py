"""Speech to text: Whisper through CTranslate2."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.errors import SpeechError
from runner.speech.interfaces import SPEECH_RATE, Samples
from runner.speech.vad import log_mel

# Whisper was trained on windows of 30 s and encodes one in half a second. The time is
# proportional to the length, but below about 8 s Whisper loops and makes up text.
FULL_WINDOW = 30 * SPEECH_RATE
MIN_WINDOW = 8 * SPEECH_RATE
TAIL = SPEECH_RATE  # samples of silence after the words
# Tokens of key terms. Whisper accepts 223, but each costs time on every call.
MAX_CONTEXT_TOKENS = 120
MIN_SPEECH = SPEECH_RATE // 10  # samples; shorter audio has no word in it
# Above this probability Whisper's text is made up: a breath became "Yeah." at 0.82,
# half a second of noise "Thank you." at 0.98; real speech stayed below 0.13.
MAX_NO_SPEECH = 0.6


@dataclass(frozen=True, slots=True)
class _Decoding:
    text: str
    no_speech: float
    is_cut: bool  # the token budget was used up

    @property
    def looks_like_a_loop(self) -> bool:
        return self.is_cut or repeats_itself(self.text)


class WhisperRecognizer:
    """Whisper, English, greedy decoding. Serves all sessions; calls are queued."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._end = tokenizer.token_to_id("<|endoftext|>")
        self._context_start = tokenizer.token_to_id("<|startofprev|>")
        self._prompt = [
            tokenizer.token_to_id(token)
            for token in (
                "<|startoftranscript|>",
                "<|en|>",
                "<|transcribe|>",
                "<|notimestamps|>",
            )
        ]

    def transcribe(self, samples: Samples, *, key_terms: Sequence[str] = ()) -> str:
        """Returns the text of `samples`, empty if they contain no speech.

        Pass only samples that the VAD accepted: Whisper makes up words for noise.
        Speech longer than 30 s is transcribed in pieces.
        """
        context = self._context(key_terms)
        texts = [self._transcribe(piece, context) for piece in split_at_pauses(samples)]
        return " ".join(text for text in texts if text)

    def _context(self, key_terms: Sequence[str]) -> list[int]:
        # Key terms go in as preceding text, the way Whisper learns a spelling: 8 of 12
        # invented names were right instead of 3, ordinary requests no worse.
        if not key_terms:
            return []
        text = f" Glossary: {', '.join(key_terms)}."
        tokens = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [self._context_start, *tokens[:MAX_CONTEXT_TOKENS]]

    def _transcribe(self, samples: Samples, context: list[int]) -> str:
        window = min(max(MIN_WINDOW, len(samples) + TAIL), FULL_WINDOW)
        decoding = self._decode(samples, window, context)
        if decoding.looks_like_a_loop and (window < FULL_WINDOW or context):
            decoding = self._decode(samples, FULL_WINDOW, [])
        return "" if decoding.no_speech > MAX_NO_SPEECH else decoding.text

    def _decode(self, samples: Samples, window: int, context: list[int]) -> _Decoding:
        import ctranslate2

        # The encoder halves the frames, so their number must be even.
        window -= window % 320
        kept = samples[:window]
        features = log_mel(np.pad(kept, (0, window - len(kept))))
        # Speech has at most six tokens a second: more is a loop.
        budget = int(8 + 6 * len(samples) / SPEECH_RATE)
        prompt = [*context, *self._prompt]
        result = self._model.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None])),
            [prompt],
            beam_size=1,
            max_length=len(prompt) + budget,
            return_no_speech_prob=True,
        )[0]
        tokens = [t for t in result.sequences_ids[0] if t < self._end]
        return _Decoding(
            self._tokenizer.decode(tokens).strip(),
            float(result.no_speech_prob),
            is_cut=len(tokens) >= budget,
        )


def load_whisper(folder: Path, *, threads: int = 2) -> WhisperRecognizer:
    """Loads a Whisper model in CTranslate2 format from `folder`.

    Raises SpeechError if the folder does not contain one, ImportError without the
    engine.
    """
    import ctranslate2
    import tokenizers

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise SpeechError(
            f"no Whisper model in '{folder}': 'tokenizer.json' is missing",
            hint="give a folder in CTranslate2 format, or 'whisper-base'",
        )
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises no narrower type
        raise SpeechError(f"cannot load the tokenizer '{path}': {error}") from error
    try:
        model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", intra_threads=threads
        )
    except (RuntimeError, ValueError) as error:
        raise SpeechError(f"cannot load Whisper from '{folder}': {error}") from error
    return WhisperRecognizer(model, tokenizer)


def split_at_pauses(samples: Samples) -> Iterable[Samples]:
    """Yields pieces that fit Whisper's window, cut at the quietest points."""
    longest = FULL_WINDOW - TAIL
    while len(samples) > longest:
        cut = _quietest(samples[longest * 2 // 3 : longest]) + longest * 2 // 3
        yield samples[:cut]
        samples = samples[cut:]
    if len(samples) >= MIN_SPEECH:
        yield samples


def repeats_itself(text: str) -> bool:
    """Returns True if a sequence of words occurs three times in a row."""
    # In a short window Whisper falls into loops ("Fail again. Fail again. Fail again.")
    # too short for the usual test, the compression ratio. People repeat themselves too,
    # so a repetition only leads to a second decoding.
    words = re.findall(r"[^\W\d_]+", text.lower())
    return any(
        words[at : at + 2 * period] == words[at + period : at + 3 * period]
        for period in range(1, len(words) // 3 + 1)
        for at in range(len(words) - 3 * period + 1)
    )


def _quietest(samples: Samples) -> int:
    """Returns the middle of the quietest 100 ms, as a sample index."""
    block = SPEECH_RATE // 10
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    power = np.square(blocks, dtype=np.float64).mean(axis=1)
    return int(power.argmin()) * block + block // 2
