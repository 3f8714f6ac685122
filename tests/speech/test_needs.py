from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType

import pytest

from runner.config.model import LlmConfig, LocalConfig
from runner.speech.manifest import Manifest, Model, WeightFile, load_manifest
from runner.speech.needs import memory_for, needed_models
from runner.speech.weights import Weights

EARS_AND_VOICE = ["silero-vad", "smart-turn", "joe", "whisper-base"]


@pytest.fixture(autouse=True)
def no_model_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAGENT_LOCAL_LLM", raising=False)


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    """A cache that is empty."""
    return Weights(tmp_path, load_manifest())


def brain(**choice: str) -> LocalConfig:
    return LocalConfig(llm=LlmConfig(**choice))


@pytest.mark.parametrize(
    ("local", "brains"),
    [
        (LocalConfig(), ["qwen-0.5b"]),
        (brain(name="qwen-1.5b"), ["qwen-1.5b"]),
        (brain(name="rules"), []),
        (brain(name="/models/mine.gguf"), []),
        (brain(url="http://localhost:11434/v1"), []),
    ],
)
def test_the_brain_is_what_the_agent_asks_for(
    weights: Weights, local: LocalConfig, brains: list[str]
) -> None:
    assert needed_models(weights, local) == [*EARS_AND_VOICE, *brains]


def test_files_of_ones_own_stand_in_for_models(weights: Weights) -> None:
    local = LocalConfig(stt="/models/ears", tts="/models/voice.onnx")

    assert needed_models(weights, local) == ["silero-vad", "smart-turn", "qwen-0.5b"]


def test_a_language_model_of_ones_own_needs_no_other(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_LOCAL_LLM", "/models/mine.gguf")

    assert needed_models(weights) == EARS_AND_VOICE


def test_the_better_brain_is_taken_where_both_are(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    file = WeightFile("w", 1, digest, None, ())
    models = {}
    for name in ("qwen-0.5b", "qwen-1.5b"):
        models[name] = Model(name, "llm", "", "", "", None, (file,))
        (tmp_path / name).mkdir()
        (tmp_path / name / "w").write_bytes(b"x")
    weights = Weights(tmp_path, Manifest(MappingProxyType(models)))

    assert needed_models(weights) == ["qwen-1.5b"]


def test_memory_is_reckoned_from_the_sizes_as_it_was_measured(
    weights: Weights,
) -> None:
    def need(name: str) -> float:
        names = needed_models(weights, brain(name=name))
        return memory_for([weights.manifest[each] for each in names]) / 1e9

    assert need("qwen-1.5b") == pytest.approx(2.31, rel=0.05)
    assert need("qwen-0.5b") >= 1.07
