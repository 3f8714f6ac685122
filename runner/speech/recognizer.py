"""Turning speech into text: Whisper through CTranslate2, and a script in its place."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.errors import SpeechError
from runner.speech.interfaces import SPEECH_RATE, Samples, Transcript
from runner.speech.vad import log_mel

# Whisper was trained on windows of 30 s and takes half a second to read one. A shorter
# one is read in proportion; below about 8 s it begins to loop and to invent.
FULL_WINDOW = 30 * SPEECH_RATE
SHORTEST_WINDOW = 8 * SPEECH_RATE
TAIL = SPEECH_RATE  # silence that must follow the words, in samples
MOST_CONTEXT = 120  # tokens of key terms; Whisper takes 223, but reads each every time
SHORTEST_SPEECH = SPEECH_RATE // 10  # less than this holds no word
# From here on Whisper's text is made up: a breath became "Yeah." at 0.82, half a second
# of noise "Thank you." at 0.98; real speech stayed under 0.13.
NOBODY_SPOKE = 0.6


@dataclass(frozen=True, slots=True)
class _Decoding:
    tokens: tuple[int, ...]
    text: str
    no_speech: float
    is_cut: bool  # the budget of tokens was used up

    @property
    def looks_like_a_loop(self) -> bool:
        return self.is_cut or repeats_itself(self.text)


class WhisperRecognizer:
    """Whisper, English, greedy. One object serves all sessions; calls queue up."""

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

    def transcribe(
        self, samples: Samples, *, key_terms: Sequence[str] = ()
    ) -> Transcript:
        """Return what was said; no text where nobody seems to have spoken.

        Feed it only what a Vad took for speech: out of noise Whisper makes words.
        Speech of more than 30 s is read in pieces.

        Key terms are given as what was said before, which is how Whisper learns a
        spelling: it wrote 8 of 12 invented names right instead of 3, and ordinary
        requests no worse.
        """
        context = self._context(key_terms)
        heard = [self._transcribe(piece, context) for piece in split_at_pauses(samples)]
        if not heard:
            return Transcript("", 1.0)
        text = " ".join(part.text for part in heard if part.text)
        return Transcript(text, min(part.no_speech for part in heard))

    def _context(self, key_terms: Sequence[str]) -> list[int]:
        if not key_terms:
            return []
        text = f" Glossary: {', '.join(key_terms)}."
        tokens = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [self._context_start, *tokens[:MOST_CONTEXT]]

    def _transcribe(self, samples: Samples, context: list[int]) -> Transcript:
        window = min(max(SHORTEST_WINDOW, len(samples) + TAIL), FULL_WINDOW)
        decoding = self._decode(samples, window, context)
        if decoding.looks_like_a_loop and (window < FULL_WINDOW or context):
            decoding = self._decode(samples, FULL_WINDOW, [])
        if decoding.no_speech > NOBODY_SPOKE:
            return Transcript("", decoding.no_speech)
        return Transcript(decoding.text, decoding.no_speech)

    def _decode(self, samples: Samples, window: int, context: list[int]) -> _Decoding:
        import ctranslate2

        # The encoder halves the frames, so their number must be even.
        window -= window % 320
        kept = samples[:window]
        features = log_mel(np.pad(kept, (0, window - len(kept))))
        # Nobody says more than six tokens a second: a loop is cut there.
        budget = int(8 + 6 * len(samples) / SPEECH_RATE)
        prompt = [*context, *self._prompt]
        result = self._model.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None])),
            [prompt],
            beam_size=1,
            max_length=len(prompt) + budget,
            return_no_speech_prob=True,
        )[0]
        tokens = tuple(t for t in result.sequences_ids[0] if t < self._end)
        return _Decoding(
            tokens,
            self._tokenizer.decode(list(tokens)).strip(),
            float(result.no_speech_prob),
            is_cut=len(tokens) >= budget,
        )


def load_whisper(folder: Path, *, threads: int = 2) -> WhisperRecognizer:
    """Load a Whisper model that was converted for CTranslate2.

    Raises SpeechError when the folder does not hold one, ImportError without the
    engine.
    """
    import ctranslate2
    import tokenizers

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise SpeechError(
            f"'{folder}' holds no Whisper model: 'tokenizer.json' is missing",
            hint="name a folder that was converted for CTranslate2, or 'whisper-base'",
        )
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises no narrower type
        raise SpeechError(f"'{path}' is no tokenizer: {error}") from error
    try:
        model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", intra_threads=threads
        )
    except (RuntimeError, ValueError) as error:
        raise SpeechError(f"cannot load Whisper from '{folder}': {error}") from error
    return WhisperRecognizer(model, tokenizer)


def split_at_pauses(samples: Samples) -> Iterable[Samples]:
    """Yield pieces that fit Whisper's window, cut where it is quietest."""
    longest = FULL_WINDOW - TAIL
    while len(samples) > longest:
        cut = _quietest(samples[longest * 2 // 3 : longest]) + longest * 2 // 3
        yield samples[:cut]
        samples = samples[cut:]
    if len(samples) >= SHORTEST_SPEECH:
        yield samples


def repeats_itself(text: str) -> bool:
    """Return whether some words come three times in a row.

    In a short window Whisper falls into loops ("Fail again. Fail again. Fail again.")
    too short for the usual sign, a text that compresses well. People repeat themselves
    too: the answer only decides whether to look again.
    """
    words = re.findall(r"[^\W\d_]+", text.lower())
    return any(
        words[at : at + 2 * period] == words[at + period : at + 3 * period]
        for period in range(1, len(words) // 3 + 1)
        for at in range(len(words) - 3 * period + 1)
    )


def _quietest(samples: Samples) -> int:
    """Return the middle of the quietest tenth of a second."""
    block = SPEECH_RATE // 10
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    power = np.square(blocks, dtype=np.float64).mean(axis=1)
    return int(power.argmin()) * block + block // 2


class ScriptedRecognizer:
    """Hears a fixed list of lines, one a call, whatever the sound; then nothing."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(tuple(lines))
        self._lock = threading.Lock()

    def transcribe(
        self, samples: Samples, *, key_terms: Sequence[str] = ()
    ) -> Transcript:
        del samples, key_terms
        with self._lock:
            line = next(self._lines, None)
        return Transcript("", 1.0) if line is None else Transcript(line)
