from __future__ import annotations

import sys

import pytest

from runner.config.lint.catalog import known_models, missing_modules
from runner.speech.llm import MODELS
from runner.speech.models import DEFAULT_RECOGNIZER, DEFAULT_VOICE


def test_the_models_are_those_of_the_server() -> None:
    assert DEFAULT_RECOGNIZER in known_models("stt")
    assert DEFAULT_VOICE in known_models("tts")
    assert set(known_models("llm")) == set(MODELS)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert "tokenizers" in missing_modules("stt")
