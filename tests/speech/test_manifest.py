from __future__ import annotations

import re

import pytest

from runner.errors import UsageError
from runner.speech.manifest import ModelFile, load_manifest

MANIFEST = load_manifest()
FILES = [
    pytest.param(file, id=f"{model.name}/{file.name}")
    for model in MANIFEST.models.values()
    for file in model.files
]


@pytest.mark.parametrize("file", FILES)
def test_the_wheels_add_up_to_the_file(file: ModelFile) -> None:
    assert sum(wheel.size for wheel in file.wheels) == file.size


@pytest.mark.parametrize("file", FILES)
def test_a_file_has_a_sha256_and_an_upstream_url(
    file: ModelFile,
) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert file.url is not None
    assert file.url.startswith("https://")
    assert file.url.endswith(f"/{file.name}")


@pytest.mark.parametrize("file", FILES)
def test_wheels_are_pinned(file: ModelFile) -> None:
    assert all(re.fullmatch(r"\d+(\.\d+)+", wheel.version) for wheel in file.wheels)


def test_the_opened_file_is_a_file_of_the_model() -> None:
    for model in MANIFEST.models.values():
        names = [file.name for file in model.files]
        assert model.opens is None or model.opens in names


def test_every_component_has_a_model() -> None:
    parts = {model.part for model in MANIFEST.models.values()}

    assert parts == {"stt", "tts", "vad", "endpointing", "llm"}


def test_a_misspelled_model_has_a_suggestion() -> None:
    with pytest.raises(UsageError, match="unknown model 'wisper-base'") as caught:
        MANIFEST["wisper-base"]

    assert caught.value.hint == "did you mean 'whisper-base'?"


def test_an_unknown_model_has_a_list_of_models() -> None:
    with pytest.raises(UsageError) as caught:
        MANIFEST["zzz"]

    assert "joe" in (caught.value.hint or "")
