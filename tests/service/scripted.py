"""Speech components without models: the caller whistles, and each pitch is a line.

The recognizer depends on the audio and not on a counter, so partial transcripts change
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)

import numpy as np

from runner.audio.pcm import to_pcm
from runner.speech.interfaces import (
    AgentContext,
    Cancelled,
    Endpointer,
    HistoryMessage,
    LanguageModel,
    MissingComponent,
    ModelOutput,
    Recognizer,
    Samples,
    Synthesizer,
    Vad,
)
from runner.speech.synthesizer import ToneSynthesizer
from runner.speech.vad import EnergyVad

Decide = Callable[[AgentContext, Sequence[HistoryMessage]], Iterable[ModelOutput]]


def whistle(pitch: float, seconds: float, rate: int = 24_000) -> bytes:
    """Returns a tone as PCM16."""
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * pitch * time)
    return to_pcm(tone.astype(np.float32))


class WhistleRecognizer:
    """Returns the line of the pitch nearest to the strongest in the audio."""

    def __init__(self, lines: Mapping[float, str]) -> None:
        self._lines = lines

    def transcribe(self, samples: Samples, *, key_terms: Sequence[str] = ()) -> str:
        del key_terms
        spectrum = np.abs(np.fft.rfft(samples))
        pitch = float(np.argmax(spectrum)) * 16_000 / len(samples)
        nearest = min(self._lines, key=lambda known: abs(known - pitch))
        return self._lines[nearest]


class ScriptedModel:
    """Returns the output of a function."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.asked: list[Sequence[HistoryMessage]] = []
        self.warmed: list[AgentContext] = []

    def warm(self, context: AgentContext) -> None:
        self.warmed.append(context)

    def respond(
        self,
        context: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        self.asked.append(history)
        for output in self._decide(context, history):
            if cancelled():
                return
            yield output

    def close(self) -> None:
        pass


class ScriptedSpeech:
    """Fake components; each can be replaced."""

    def __init__(
        self,
        lines: Mapping[float, str],
        decide: Decide,
        *,
        recognizer: Recognizer | None = None,
        voice: Synthesizer | None = None,
        endpointer: Endpointer | None = None,
        missing: Sequence[MissingComponent] = (),
    ) -> None:
        self.scripted_model = ScriptedModel(decide)
        self._recognizer = recognizer or WhistleRecognizer(lines)
        self._voice = voice or ToneSynthesizer()
        self._endpointer = endpointer
        self._missing = missing

    def vad(self) -> Vad:
        return EnergyVad()

    def endpointer(self) -> Endpointer | None:
        return self._endpointer

    def recognizer(self) -> Recognizer | None:
        return self._recognizer

    def language_model(self) -> LanguageModel:
        return self.scripted_model

    def synthesizer(self) -> Synthesizer:
        return self._voice

    def missing(self) -> Sequence[MissingComponent]:
        return self._missing

    def close(self) -> None:
        pass


class Caller:
    """A microphone that is silent except for injected audio, until `hang_up`."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._is_over = False

    def whistle(self, pitch: float, seconds: float = 0.6) -> None:
        self.say(whistle(pitch, seconds))

    def say(self, pcm: bytes) -> None:
        self._waiting += pcm

    def hang_up(self) -> None:
        self._is_over = True

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields 50 ms at a time in real time."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._is_over:
            frame = bytes(self._waiting[:2400]).ljust(2400, b"\0")
            del self._waiting[:2400]
            yield frame
            due += 0.05
            await asyncio.sleep(max(0.0, due - loop.time()))
