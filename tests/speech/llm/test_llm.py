from pathlib import Path

import pytest

from runner.config.model import LlmConfig
from runner.errors import ModelMissing, SpeechError
from runner.speech.llm import MODEL_VARIABLE, load_llm
from runner.speech.llm.openai import OpenAiCompatibleModel
from runner.speech.llm.rule_based import RuleBasedModel


def nothing(name: str) -> Path | None:
    return None


def test_rules_need_no_model_files() -> None:
    llm = load_llm(LlmConfig(name="rules"), nothing, {})
    assert isinstance(llm, RuleBasedModel)


@pytest.mark.parametrize("name", ["auto", "qwen-0.5b", "qwen-1.5b"])
def test_missing_model_files_are_reported_with_the_command(name: str) -> None:
    with pytest.raises(ModelMissing) as caught:
        load_llm(LlmConfig(name=name), nothing, {})
    wanted = "qwen-0.5b" if name == "auto" else name
    assert caught.value.hint == f"vagent models fetch {wanted}"


@pytest.mark.parametrize("name", ["no/such/file.gguf", "gpt-9"])
def test_an_unknown_name_is_quoted(name: str) -> None:
    with pytest.raises(ModelMissing, match=name):
        load_llm(LlmConfig(name=name), nothing, {})


@pytest.mark.parametrize("content", [b"", b"GGU", b"not a model at all"])
def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(SpeechError, match=r"broken\.gguf"):
        load_llm(LlmConfig(name=str(path)), nothing, {})


def test_auto_takes_the_best_present_model_unless_the_environment_names_one(
    tmp_path: Path,
) -> None:
    pytest.importorskip("xllamacpp")
    folder = tmp_path / "qwen-0.5b"
    folder.mkdir()
    for path in (folder / "weights.gguf", tmp_path / "own.gguf"):
        path.write_bytes(b"broken")
    found = {"qwen-0.5b": folder}.get
    # Which file it takes shows in which one it complains about.
    with pytest.raises(SpeechError, match=r"weights\.gguf"):
        load_llm(LlmConfig(), found, {})
    own = {MODEL_VARIABLE: str(tmp_path / "own.gguf")}
    with pytest.raises(SpeechError, match=r"own\.gguf"):
        load_llm(LlmConfig(), found, own)
    with pytest.raises(SpeechError, match=r"weights\.gguf"):
        load_llm(LlmConfig(name="qwen-0.5b"), found, own)


def test_an_endpoint_is_selected_by_its_url() -> None:
    config = LlmConfig(url="http://127.0.0.1:9/v1", model="m", key="s3cret")
    llm = load_llm(config, nothing, {})
    assert isinstance(llm, OpenAiCompatibleModel)
    assert "s3cret" not in repr(llm)
    llm.close()


def test_an_invalid_url_is_rejected() -> None:
    with pytest.raises(SpeechError, match="localhost"):
        load_llm(LlmConfig(url="localhost:11434"), nothing, {})
