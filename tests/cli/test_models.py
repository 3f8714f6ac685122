from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runner.cli.models import models_app
from runner.errors import ModelMissing, SpeechError, UsageError
from runner.speech.manifest import load_manifest
from runner.speech.models import ModelStore, needed_models

NAMES = list(load_manifest().models)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is empty."""
    folder = tmp_path / "models"
    monkeypatch.setenv("VAGENT_MODELS", str(folder))
    monkeypatch.delenv("VAGENT_LOCAL_LLM", raising=False)
    return folder


def vagent_models(*arguments: str) -> Result:
    return CliRunner().invoke(models_app, arguments)


def test_the_list_shows_purpose_and_state_of_each_model() -> None:
    result = vagent_models("list")

    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["model", "purpose", "size", "state", "license"]
    assert [row.split()[0] for row in rows] == NAMES
    assert all("not fetched" in row for row in rows)
    assert "Apache-2.0" in rows[-1]


def test_the_list_is_json_lines_on_request() -> None:
    result = vagent_models("list", "--json")

    models = [json.loads(line) for line in result.stdout.splitlines()]
    assert [model["name"] for model in models] == NAMES
    assert {model["type"] for model in models} == {"vagent.model"}
    assert models[1]["bytes"] == 63_206_088
    assert not any(model["present"] for model in models)


def test_the_list_shows_the_folder_of_the_cache(cache: Path) -> None:
    assert str(cache) in vagent_models("list").stderr


def test_a_damaged_model_is_listed_as_such(cache: Path) -> None:
    (cache / "smart-turn").mkdir(parents=True)
    (cache / "smart-turn" / "smart-turn-v3.2-cpu.onnx").write_bytes(b"cut")

    assert "is damaged" in vagent_models("list").stdout


def test_the_path_of_a_missing_model_has_the_download_command() -> None:
    result = vagent_models("path", "joe")

    assert isinstance(result.exception, ModelMissing)
    assert result.exception.exit_code == 3
    assert result.exception.hint == "vagent models fetch joe"


@pytest.mark.parametrize("command", ["path", "fetch", "remove"])
def test_an_unknown_name_is_a_wrong_usage(command: str) -> None:
    result = vagent_models(command, "jo")

    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert result.exception.hint == "did you mean 'joe'?"


def test_names_and_all_contradict_each_other() -> None:
    assert isinstance(vagent_models("fetch", "--all", "joe").exception, UsageError)


def test_removing_reports_the_freed_space(cache: Path) -> None:
    (cache / "joe").mkdir(parents=True)
    (cache / "joe" / "en_US-joe-medium.onnx.part").write_bytes(bytes(2_000_000))

    result = vagent_models("remove", "joe", "smart-turn")

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "joe: removed, 2.0 MB freed",
        "smart-turn: was not downloaded",
    ]
    assert not (cache / "joe").exists()


def test_removing_checks_all_names_before_the_first(cache: Path) -> None:
    (cache / "joe").mkdir(parents=True)

    vagent_models("remove", "joe", "nobody")

    assert (cache / "joe").exists()


def test_the_default_models_are_those_that_a_call_needs(cache: Path) -> None:
    weights = ModelStore(cache, load_manifest())

    assert sorted(needed_models(weights)) == sorted(
        ["whisper-base", "joe", "silero-vad", "smart-turn", "qwen-0.5b"]
    )


def test_a_configured_language_model_replaces_the_default(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_LOCAL_LLM", "/models/mine.gguf")

    assert "qwen-0.5b" not in needed_models(ModelStore(cache, load_manifest()))


def test_unreachable_sources_are_reported_with_each_reason(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Nothing listens on the discard port: both sources fail, each in its own way.
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    result = vagent_models("fetch", "smart-turn")

    assert isinstance(result.exception, SpeechError)
    assert result.exception.exit_code == 3
    assert "cannot reach huggingface.co" in result.exception.message
    assert "No matching distribution" in result.exception.message
    left = [p.name for p in (cache / "smart-turn").iterdir()]
    assert left == []


def test_a_fetch_ends_with_what_it_downloaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelStore, "fetch", lambda *names, **others: None)

    result = vagent_models("fetch", "joe")

    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == "done: 1 model downloaded"
