from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType

import pytest

from runner.config.model import LlmConfig, LocalConfig
from runner.speech.manifest import Manifest, Model, ModelFile, load_manifest
from runner.speech.models import ModelStore, memory_for, needed_models

ALL_BUT_LLM = ["silero-vad", "smart-turn", "joe", "whisper-base"]


@pytest.fixture(autouse=True)
def no_model_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAGENT_LOCAL_LLM", raising=False)


@pytest.fixture
def weights(tmp_path: Path) -> ModelStore:
    """An empty cache."""
    return ModelStore(tmp_path, load_manifest())


def llm(**choice: str) -> LocalConfig:
    return LocalConfig(llm=LlmConfig(**choice))


@pytest.mark.parametrize(
    ("local", "llms"),
    [
        (LocalConfig(), ["qwen-0.5b"]),
        (llm(name="qwen-1.5b"), ["qwen-1.5b"]),
        (llm(name="rules"), []),
        (llm(name="/models/mine.gguf"), []),
        (llm(url="http://localhost:11434/v1"), []),
    ],
)
def test_the_language_model_is_the_one_of_the_agent(
    weights: ModelStore, local: LocalConfig, llms: list[str]
) -> None:
    assert needed_models(weights, local) == [*ALL_BUT_LLM, *llms]


def test_a_path_replaces_a_model(weights: ModelStore) -> None:
    local = LocalConfig(stt="/models/whisper", tts="/models/voice.onnx")

    assert needed_models(weights, local) == ["silero-vad", "smart-turn", "qwen-0.5b"]


def test_a_language_model_from_the_environment_replaces_the_default(
    weights: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_LOCAL_LLM", "/models/mine.gguf")

    assert needed_models(weights) == ALL_BUT_LLM


def test_the_better_of_two_present_language_models_is_used(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    file = ModelFile("w", 1, digest, None, ())
    models = {}
    for name in ("qwen-0.5b", "qwen-1.5b"):
        models[name] = Model(name, "llm", "", "", "", None, (file,))
        (tmp_path / name).mkdir()
        (tmp_path / name / "w").write_bytes(b"x")
    weights = ModelStore(tmp_path, Manifest(MappingProxyType(models)))

    assert needed_models(weights) == ["qwen-1.5b"]


def test_memory_is_estimated_from_the_file_sizes(
    weights: ModelStore,
) -> None:
    def need(name: str) -> float:
        names = needed_models(weights, llm(name=name))
        return memory_for([weights.manifest[each] for each in names]) / 1e9

    assert need("qwen-1.5b") == pytest.approx(2.31, rel=0.05)
    assert need("qwen-0.5b") >= 1.07
