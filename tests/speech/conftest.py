"""Real models for the tests marked `speech`: from the cache, loaded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import to_samples
from runner.audio.resampler import Resampler
from runner.speech.interfaces import (
    SPEECH_RATE,
    Endpointer,
    Recognizer,
    Samples,
    Synthesizer,
    Vad,
)
from runner.speech.models import open_model_store

WeightsOf = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def weights_of() -> WeightsOf:
    """Returns the path of a model by name and engine, or skips with the reason."""

    def place(name: str, engine: str) -> Path:
        pytest.importorskip(engine)
        standing = open_model_store().status(name)
        if not standing.present:
            pytest.skip(f"no weights of {name}: {standing.problem}")
        return standing.path

    return place


@pytest.fixture(scope="session")
def voice(weights_of: WeightsOf) -> Synthesizer:
    from runner.speech.synthesizer import load_piper

    return load_piper(weights_of("joe", "piper"))


@pytest.fixture(scope="session")
def recognizer(weights_of: WeightsOf) -> Recognizer:
    from runner.speech.recognizer import load_whisper

    return load_whisper(weights_of("whisper-base", "ctranslate2"))


@pytest.fixture(scope="session")
def silero(weights_of: WeightsOf) -> Callable[[], Vad]:
    from runner.speech.vad import load_silero

    return load_silero(weights_of("silero-vad", "onnxruntime"))


@pytest.fixture(scope="session")
def smart_turn(weights_of: WeightsOf) -> Endpointer:
    from runner.speech.vad import load_smart_turn

    return load_smart_turn(weights_of("smart-turn", "onnxruntime"))


@pytest.fixture(scope="session")
def spoken(voice: Synthesizer) -> Callable[[str], Samples]:
    """Returns 16 kHz audio of the voice speaking a line."""

    def speak(line: str) -> Samples:
        pcm = b"".join(voice.synthesize(line, lambda: False))
        return Resampler(SAMPLE_RATE, SPEECH_RATE).process(to_samples(pcm), last=True)

    return speak


@pytest.fixture
def noise() -> Samples:
    """Returns a second of quiet white noise, always the same."""
    random = np.random.default_rng(1)
    return (random.standard_normal(SPEECH_RATE) * 0.003).astype(np.float32)
