"""Words to sound in a session's own encoding, clause by clause."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runner.audio.devices import BYTES_PER_SECOND, SAMPLE_RATE
from runner.audio.pcm import (
    TELEPHONE_RATE,
    encode_alaw,
    encode_mulaw,
    to_pcm,
    to_samples,
)
from runner.audio.resampler import resample_pcm
from runner.protocol.server.settings import Settings
from runner.service.workers import Workers
from runner.speech.interfaces import Cancelled, SpeechStack

# Quieter than this is silence: about -46 dB below full scale.
_AUDIBLE = 0.005
_LEAD_SAMPLES = SAMPLE_RATE // 100  # kept before the first audible sample
_TAIL_SAMPLES = SAMPLE_RATE // 8  # kept after the last one: the pause between clauses
_KEPT_CLAUSES = 32
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Clause:
    """Words and their sound, ready for the wire."""

    text: str
    pcm: bytes = b""
    duration_ms: float = 0.0


class SpeechSynthesizer:
    """The server's voice, shared by its sessions."""

    def __init__(self, speech: SpeechStack, workers: Workers) -> None:
        self._speech = speech
        self._workers = workers
        # Greetings and fillers are said again and again; oldest first.
        self._kept: dict[str, bytes] = {}

    async def prepare(self, text: str) -> None:
        """Synthesise words that will be needed at once."""
        await self._sound(text, _never, keep=True)

    async def say(
        self, text: str, settings: Settings, cancelled: Cancelled, *, keep: bool = False
    ) -> Clause:
        """Return the sound of a clause; `keep` what will be said again.

        Raises:
            SpeechError: the voice failed.
        """
        if not settings.speaks:
            return Clause(text)
        pcm = await self._sound(text, cancelled, keep=keep)
        duration_ms = len(pcm) / BYTES_PER_SECOND * 1000
        encoded = await self._workers.run(
            "encoding", lambda: _encode(pcm, settings.output_encoding, settings.volume)
        )
        return Clause(text, encoded, duration_ms)

    async def _sound(self, text: str, cancelled: Cancelled, *, keep: bool) -> bytes:
        if text in self._kept:
            return self._kept[text]
        pcm = await self._workers.run(
            "the voice", lambda: _speak(self._speech, text, cancelled)
        )
        if keep and not cancelled():
            if len(self._kept) >= _KEPT_CLAUSES:
                del self._kept[next(iter(self._kept))]
            self._kept[text] = pcm
        return pcm


def sentences(text: str) -> Sequence[str]:
    """Cut a text where a voice takes breath, so that the first sound comes early."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


def _speak(speech: SpeechStack, text: str, cancelled: Cancelled) -> bytes:
    return _trim(b"".join(speech.voice().speak(text, cancelled)))


def _trim(pcm: bytes) -> bytes:
    """Cut the silence around a clause: the caller waits for sound, not for silence."""
    audible = np.flatnonzero(np.abs(to_samples(pcm)) > _AUDIBLE)
    if not len(audible):
        return pcm
    start = max(0, int(audible[0]) - _LEAD_SAMPLES)
    end = int(audible[-1]) + _TAIL_SAMPLES
    return pcm[2 * start : 2 * end]


def _encode(pcm: bytes, encoding: str, volume: float) -> bytes:
    if volume != 1:
        pcm = to_pcm(to_samples(pcm) * np.float32(volume))
    if encoding == "audio/pcmu":
        return encode_mulaw(resample_pcm(pcm, SAMPLE_RATE, TELEPHONE_RATE))
    if encoding == "audio/pcma":
        return encode_alaw(resample_pcm(pcm, SAMPLE_RATE, TELEPHONE_RATE))
    return pcm


def _never() -> bool:
    return False
