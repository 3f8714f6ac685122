from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runner.config.model import LlmConfig, LocalConfig
from runner.errors import ModelMissing
from runner.speech.interfaces import SPEECH_RATE, VAD_FRAME
from runner.speech.llm.rule_based import RuleBasedModel
from runner.speech.loader import load_speech, load_synthesizer
from runner.speech.manifest import load_manifest
from runner.speech.models import ModelStore
from runner.speech.synthesizer import ToneSynthesizer

RULES = LocalConfig(llm=LlmConfig(name="rules"))


@pytest.fixture
def nothing(tmp_path: Path) -> ModelStore:
    """An empty cache."""
    return ModelStore(tmp_path, load_manifest())


@pytest.fixture(autouse=True)
def _no_own_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAGENT_LOCAL_LLM", raising=False)


def test_without_models_every_component_has_a_fallback(nothing: ModelStore) -> None:
    speech = load_speech(LocalConfig(), store=nothing)

    assert speech.vad().probability(np.zeros(VAD_FRAME, np.float32)) == 0.0
    assert speech.endpointer() is None
    assert speech.recognizer() is None
    assert isinstance(speech.language_model(), RuleBasedModel)
    assert isinstance(speech.synthesizer(), ToneSynthesizer)
    speech.close()


def test_without_models_every_component_is_reported_with_its_command(
    nothing: ModelStore,
) -> None:
    speech = load_speech(LocalConfig(), store=nothing)

    missing = {part.part: part for part in speech.missing()}

    assert list(missing) == ["stt", "llm", "tts", "vad", "endpointing"]
    assert all(part.reason and part.instead for part in missing.values())
    assert all(part.command.startswith(("vagent", "pip")) for part in missing.values())
    assert "joe" in missing["tts"].reason
    speech.close()


def test_requested_fallbacks_are_not_missing(nothing: ModelStore) -> None:
    speech = load_speech(LocalConfig(), fallbacks_only=True, store=nothing)

    assert list(speech.missing()) == []
    assert isinstance(speech.synthesizer(), ToneSynthesizer)
    assert isinstance(speech.language_model(), RuleBasedModel)
    assert speech.recognizer() is None
    assert speech.endpointer() is None
    speech.close()


def test_every_session_gets_its_own_vad(nothing: ModelStore) -> None:
    speech = load_speech(RULES, fallbacks_only=True, store=nothing)

    assert speech.vad() is not speech.vad()
    assert speech.synthesizer() is speech.synthesizer()
    speech.close()


def test_requested_rules_are_not_missing(nothing: ModelStore) -> None:
    speech = load_speech(RULES, store=nothing)

    assert "llm" not in {part.part for part in speech.missing()}
    speech.close()


def test_a_path_without_a_model_is_reported(
    nothing: ModelStore, tmp_path: Path
) -> None:
    local = LocalConfig(stt=str(tmp_path), llm=RULES.llm, tts="/no/such/voice.onnx")
    speech = load_speech(local, store=nothing)

    reasons = {part.part: part.reason for part in speech.missing()}

    assert str(tmp_path) in reasons["stt"]
    assert "'/no/such/voice.onnx'" in reasons["tts"]
    speech.close()


def test_load_synthesizer_has_no_fallback(nothing: ModelStore) -> None:
    with pytest.raises(ModelMissing, match="model 'joe' is not usable") as caught:
        load_synthesizer(LocalConfig(), store=nothing)

    assert caught.value.hint == "vagent models fetch joe"


@pytest.mark.speech
def test_with_models_nothing_is_missing(
    weights_of: Callable[[str, str], Path],
) -> None:
    for name, engine in (
        ("joe", "piper"),
        ("whisper-base", "ctranslate2"),
        ("silero-vad", "onnxruntime"),
        ("smart-turn", "onnxruntime"),
    ):
        weights_of(name, engine)
    speech = load_speech(RULES)
    recognizer, endpointer = speech.recognizer(), speech.endpointer()

    assert list(speech.missing()) == []
    assert recognizer is not None
    assert recognizer.transcribe(np.zeros(SPEECH_RATE, np.float32)) == ""
    assert endpointer is not None
    assert 0 <= endpointer.completeness(np.zeros(SPEECH_RATE, np.float32)) <= 1
    assert b"".join(speech.synthesizer().synthesize("Hello.", lambda: False))
    speech.close()
