"""What a call lacks, reported before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli import missing_models
from runner.cli.missing_models import MissingSpeech, find_missing, prepare_speech
from runner.config.model import LocalConfig
from runner.engine.compose import CallOptions
from runner.errors import ModelMissing
from runner.speech.models import open_model_store

LOCAL = "version: 1\nname: a\nprompt: Be brief.\n"
NOT_FETCHED = ("silero-vad", "smart-turn", "joe", "whisper-base", "qwen-0.5b")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that is empty, and all engines."""
    monkeypatch.setenv("VAGENT_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("VAGENT_LOCAL_LLM", raising=False)
    monkeypatch.setattr(missing_models, "_ENGINES", ())


def options(tmp_path: Path, text: str = LOCAL, **others: object) -> CallOptions:
    path = tmp_path / "agent.yaml"
    path.write_text(text, "utf-8")
    return CallOptions(path, **others)  # type: ignore[arg-type]  # whatever a test sets


def test_one_line_names_all_models_and_one_command_gets_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare_speech(options(tmp_path), {}, can_ask=False)

    line, hint = capsys.readouterr().err.splitlines()
    assert line.startswith(f"missing for local speech: {', '.join(NOT_FETCHED)} (")
    assert line.endswith(" MB)")
    assert hint == "  hint: vagent models fetch"


def test_missing_packages_are_part_of_the_one_command() -> None:
    missing = MissingSpeech(("amy",), 63_000_000, ("piper",), has_default_models=False)

    assert missing.command == "pip install 'vagent[local]' && vagent models fetch amy"
    assert missing.describe().endswith("piper (package), amy (63.0 MB)")


def test_a_typed_call_lacks_nothing_that_only_hears() -> None:
    missing = find_missing(LocalConfig(), open_model_store(), is_typed=True)

    assert missing.models == ["joe", "qwen-0.5b"]


@pytest.mark.parametrize("service", [None, "ws://127.0.0.1:9", "local"])
def test_lines_without_a_voice_fail_before_the_call(
    tmp_path: Path, service: str | None
) -> None:
    spoken = options(tmp_path, lines=("Hello",), service=service)

    with pytest.raises(ModelMissing) as caught:
        prepare_speech(spoken, {}, can_ask=False)

    assert caught.value.hint == "vagent models fetch joe"


def test_another_service_needs_no_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = options(tmp_path, service="ws://127.0.0.1:9")

    assert not prepare_speech(far, {}, can_ask=False)
    assert capsys.readouterr().err == ""


def test_a_broken_agent_file_is_left_to_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not prepare_speech(options(tmp_path, "name: ["), {}, can_ask=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_question_offers_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_wanted: bool
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda *args, **others: is_wanted)
    monkeypatch.setattr(
        "runner.cli.models.fetch_models", lambda store, names: fetched.extend(names)
    )

    prepare_speech(options(tmp_path), {}, can_ask=True)

    assert fetched == (list(NOT_FETCHED) if is_wanted else [])


def test_a_test_run_reports_missing_models_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing_models.report_missing_models()

    assert "hint: vagent models fetch" in capsys.readouterr().err
