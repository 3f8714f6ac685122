"""Text to speech: Piper, and tones as a fallback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import to_pcm
from runner.audio.resampler import Resampler
from runner.errors import SpeechError
from runner.speech.interfaces import Cancelled, Samples
from runner.speech.vad import open_network

# Characters of one piece of a long sentence: about 6 s of audio, 0.2 s of work. A piece
# cannot be cancelled, and the caller waits for the first one.
MAX_PIECE = 100
MIN_PIECE = 30  # shorter pieces are unnatural to hear
_CLAUSE_END = re.compile(r"(?<=[,;:\u2014])\s+")
# Markup that language models write. After `[[` Piper would read phonemes.
_UNSPOKEN = re.compile(r"[*#`]+|\[\[|\]\]")


class PiperSynthesizer:
    """A Piper voice. Deterministic; one object serves all sessions."""

    # Piper scales each piece to full scale; the headroom keeps the resampler's
    # overshoot from clipping.
    VOLUME = 0.8

    def __init__(self, engine: Any, settings: Any) -> None:
        self._engine = engine  # piper.PiperVoice
        self._settings = settings  # piper.SynthesisConfig

    def synthesize(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        for piece in split_into_pieces(_UNSPOKEN.sub("", text)):
            if cancelled():
                return
            for chunk in self._engine.synthesize(piece, self._settings):
                yield _to_pcm24k(chunk)
                if cancelled():
                    return


def load_piper(path: Path, *, threads: int = 2) -> PiperSynthesizer:
    """Loads a voice from a `.onnx` file with a `.onnx.json` file next to it.

    Raises SpeechError if they are not a voice, ImportError without the engine.
    """
    import piper  # GPL-3: used only if the user installed it

    settings_path = path.with_name(f"{path.name}.json")
    try:
        config = piper.PiperConfig.from_dict(
            json.loads(settings_path.read_text("utf-8"))
        )
    except (OSError, ValueError, KeyError) as error:
        raise SpeechError(
            f"'{settings_path}' does not describe a Piper voice: {error}",
            hint="give a .onnx file with its .onnx.json next to it, or 'joe'",
        ) from error
    network = open_network(path, threads=threads)
    engine = piper.PiperVoice(session=network.session, config=config)
    # Without noise Piper is deterministic, so that calls can be repeated and compared;
    # it is as intelligible as with noise.
    settings = piper.SynthesisConfig(
        volume=PiperSynthesizer.VOLUME, noise_scale=0.0, noise_w_scale=0.0
    )
    return PiperSynthesizer(engine, settings)


def split_into_pieces(text: str) -> list[str]:
    """Splits long text after clauses; Piper splits each piece into sentences."""
    pieces: list[str] = []
    for clause in _CLAUSE_END.split(text.strip()):
        joined = f"{pieces[-1]} {clause}" if pieces else clause
        small = pieces and min(len(pieces[-1]), len(clause)) < MIN_PIECE
        if pieces and (small or len(joined) <= MAX_PIECE):
            pieces[-1] = joined
        else:
            pieces.append(clause)
    return [piece for piece in pieces if any(map(str.isalnum, piece))]


def _to_pcm24k(chunk: Any) -> bytes:
    samples: Samples = chunk.audio_float_array
    return to_pcm(Resampler(chunk.sample_rate, SAMPLE_RATE).process(samples, last=True))


_PAUSES = {",": 0.15, ";": 0.2, ":": 0.2, ".": 0.3, "!": 0.3, "?": 0.3}  # seconds
# Hz by vowel, so that sentences differ audibly.
_PITCHES = {"a": 196.0, "e": 220.0, "i": 262.0, "o": 175.0, "u": 165.0, "y": 247.0}


class ToneSynthesizer:
    """Synthesizes one tone per syllable, with the length and pauses of speech.

    Deterministic; the fallback if no voice is installed.
    """

    SYLLABLE = 0.18  # seconds
    VOLUME = 0.25

    def synthesize(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        for word in text.split():
            if cancelled():
                return
            yield to_pcm(self._word(word))

    def _word(self, word: str) -> Samples:
        tones = [self._tone(vowels) for vowels in syllables(word)]
        pause = _PAUSES.get(word[-1], 0.05)
        return np.concatenate(
            [*tones, np.zeros(round(pause * SAMPLE_RATE), np.float32)]
        )

    def _tone(self, vowels: str) -> Samples:
        pitch = _PITCHES.get(vowels[0], 185.0)
        time = np.arange(round(self.SYLLABLE * SAMPLE_RATE)) / SAMPLE_RATE
        # About the spectrum of a voice: each harmonic has half the amplitude.

        wave = sum(np.sin(2 * np.pi * pitch * k * time) / 2**k for k in (1, 2, 3))
        envelope = np.sin(np.pi * time / self.SYLLABLE) ** 0.5
        shaped: Samples = (self.VOLUME * envelope * wave).astype(np.float32)
        return shaped


def syllables(word: str) -> list[str]:
    """Returns the vowel groups and digits of a word, at least one."""
    return re.findall(r"[aeiouy]+|\d", word.lower()) or ["a"]
