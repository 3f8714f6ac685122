"""Turning text into sound: Piper, and tones in its place."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import to_pcm
from runner.audio.resampling import Resampler
from runner.errors import SpeechError
from runner.speech.interfaces import Cancelled, Samples
from runner.speech.vad import open_network

# Characters in one piece of a long sentence: about 6 s of sound, 0.2 s of work. Work on
# a piece cannot be broken off, and the first one is what the caller waits for.
LONGEST_PIECE = 100
SHORTEST_PIECE = 30  # a cut nearer to the start or end makes the voice stumble
_CLAUSE_END = re.compile(r"(?<=[,;:\u2014])\s+")
# Marks that language models write and nobody pronounces; `[[` would make Piper read
# what follows as phonemes.
_UNSPOKEN = re.compile(r"[*#`]+|\[\[|\]\]")


class PiperSynthesizer:
    """A Piper voice. The same text gives the same sound; one object serves all
    sessions."""

    # Piper scales each piece to full scale; what is left here keeps the resampler's
    # overshoot from clipping.
    LOUDNESS = 0.8
    # Phrases such as "Let me check that." come again and again.
    CANNED = 32
    LONGEST_CANNED = 60  # characters

    def __init__(self, name: str, engine: Any, settings: Any) -> None:
        self.name = name
        self._engine = engine  # piper.PiperVoice
        self._settings = settings  # piper.SynthesisConfig
        self._canned: OrderedDict[str, bytes] = OrderedDict()

    def speak(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        for piece in split_into_pieces(_UNSPOKEN.sub("", text)):
            if cancelled():
                return
            if canned := self._canned.get(piece):
                yield canned
                continue
            sound = b""
            for chunk in self._engine.synthesize(piece, self._settings):
                pcm = _to_wire(chunk)
                sound += pcm
                yield pcm
                if cancelled():
                    return
            self._keep(piece, sound)

    def _keep(self, piece: str, sound: bytes) -> None:
        if sound and len(piece) <= self.LONGEST_CANNED:
            self._canned[piece] = sound
            while len(self._canned) > self.CANNED:
                self._canned.popitem(last=False)


def load_piper(path: Path, *, threads: int = 2) -> PiperSynthesizer:
    """Load a voice from its `.onnx` file, which a `.onnx.json` file lies beside.

    Raises SpeechError when they are no voice, ImportError without the engine.
    """
    import piper  # GPL-3: only where the user installed it

    settings_path = path.with_name(f"{path.name}.json")
    try:
        config = piper.PiperConfig.from_dict(
            json.loads(settings_path.read_text("utf-8"))
        )
    except (OSError, ValueError, KeyError) as error:
        raise SpeechError(
            f"'{settings_path}' does not describe a Piper voice: {error}",
            hint="a voice is a .onnx file with its .onnx.json beside it, or 'joe'",
        ) from error
    network = open_network(path, threads=threads)
    engine = piper.PiperVoice(session=network.session, config=config)
    # Without its noise Piper says the same text in the same way every time: calls can
    # be repeated and compared. It is understood as well as with it.
    settings = piper.SynthesisConfig(
        volume=PiperSynthesizer.LOUDNESS, noise_scale=0.0, noise_w_scale=0.0
    )
    return PiperSynthesizer(path.stem, engine, settings)


def split_into_pieces(text: str) -> list[str]:
    """Cut long text after clauses; what is left of each piece is still spoken as
    sentences, one by one."""
    pieces: list[str] = []
    for clause in _CLAUSE_END.split(text.strip()):
        joined = f"{pieces[-1]} {clause}" if pieces else clause
        small = pieces and min(len(pieces[-1]), len(clause)) < SHORTEST_PIECE
        if pieces and (small or len(joined) <= LONGEST_PIECE):
            pieces[-1] = joined
        else:
            pieces.append(clause)
    return [piece for piece in pieces if any(map(str.isalnum, piece))]


def _to_wire(chunk: Any) -> bytes:
    samples: Samples = chunk.audio_float_array
    return to_pcm(Resampler(chunk.sample_rate, SAMPLE_RATE).process(samples, last=True))


_PAUSES = {",": 0.15, ";": 0.2, ":": 0.2, ".": 0.3, "!": 0.3, "?": 0.3}  # seconds
# By vowel, in hertz: a listener can tell sentences apart.
_PITCHES = {"a": 196.0, "e": 220.0, "i": 262.0, "o": 175.0, "u": 165.0, "y": 247.0}


class ToneSynthesizer:
    """Hums a text: one shaped tone a syllable, so that length and pauses are about
    those of speech. Deterministic; a stand-in where no voice is installed."""

    name = "tones"

    SYLLABLE = 0.18  # seconds
    LOUDNESS = 0.25

    def speak(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        for word in text.split():
            if cancelled():
                return
            yield to_pcm(self._hum(word))

    def _hum(self, word: str) -> Samples:
        tones = [self._tone(vowels) for vowels in syllables(word)]
        pause = _PAUSES.get(word[-1], 0.05)
        return np.concatenate(
            [*tones, np.zeros(round(pause * SAMPLE_RATE), np.float32)]
        )

    def _tone(self, vowels: str) -> Samples:
        pitch = _PITCHES.get(vowels[0], 185.0)
        time = np.arange(round(self.SYLLABLE * SAMPLE_RATE)) / SAMPLE_RATE
        # A voice's spectrum, roughly: each harmonic half as strong as the one below.
        wave = sum(np.sin(2 * np.pi * pitch * k * time) / 2**k for k in (1, 2, 3))
        envelope = np.sin(np.pi * time / self.SYLLABLE) ** 0.5
        shaped: Samples = (self.LOUDNESS * envelope * wave).astype(np.float32)
        return shaped


def syllables(word: str) -> list[str]:
    """Return the vowel groups of a word; each digit counts as one, and a word without
    any as one."""
    return re.findall(r"[aeiouy]+|\d", word.lower()) or ["a"]
