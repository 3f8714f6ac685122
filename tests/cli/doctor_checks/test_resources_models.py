from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import MappingProxyType

import pytest

from runner.cli.doctor_checks.model import DoctorOptions, State
from runner.cli.doctor_checks.resources import check_models, judge_models
from runner.speech.manifest import Manifest, Model, ModelFile
from runner.speech.models import ModelStore

DATA = b"weights" * 1000


@pytest.fixture
def weights(tmp_path: Path) -> ModelStore:
    """A cache with one model that is present and one that is not."""
    models = {}
    for name in ("here", "absent"):
        digest = hashlib.sha256(DATA).hexdigest()
        file = ModelFile("w.bin", len(DATA), digest, None, ())
        models[name] = Model(name, "voice", "to speak", "MIT", "us", None, (file,))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "w.bin").write_bytes(DATA)
    return ModelStore(tmp_path, Manifest(MappingProxyType(models)))


def test_a_model_passes_by_its_hash(weights: ModelStore) -> None:
    here, absent = judge_models(weights, ["here", "absent"])

    assert (here.name, here.state) == ("model-here", State.OK)
    assert absent.state is State.FAILED
    assert absent.fix == "vagent models fetch absent"


def test_a_changed_file_with_its_old_time_is_found(weights: ModelStore) -> None:
    path = weights.folder / "here" / "w.bin"
    assert weights.status("here").present
    status = path.stat()
    path.write_bytes(DATA[:-1] + b"!")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    here, _ = judge_models(weights, [])

    assert here.state is State.FAILED
    assert "'w.bin' is damaged" in here.detail


def test_a_model_that_is_not_needed_can_be_missing(weights: ModelStore) -> None:
    _, absent = judge_models(weights, [])

    assert absent.state is State.SKIPPED


def test_another_service_needs_no_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_MODELS", str(tmp_path))
    monkeypatch.delenv("VAGENT_LOCAL_LLM", raising=False)
    key = {"ASSEMBLYAI_API_KEY": "0" * 32}

    with_key = list(check_models(DoctorOptions(key, tmp_path)))
    without = list(check_models(DoctorOptions({}, tmp_path)))

    assert {each.state for each in with_key} == {State.SKIPPED}
    assert [each.name for each in without if each.state is State.FAILED] == [
        "model-whisper-base",
        "model-joe",
        "model-silero-vad",
        "model-smart-turn",
        "model-qwen-0.5b",
    ]


def test_models_given_by_path_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_MODELS", str(tmp_path / "cache"))
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")
    agent = tmp_path / "agent.yaml"
    agent.write_text(
        "version: 1\nname: x\nprompt: Be brief.\n"
        f"local: {{llm: {tmp_path / 'mine.gguf'}, tts: {tmp_path / 'no.onnx'}}}\n"
    )
    found = {
        each.name: each for each in check_models(DoctorOptions({}, tmp_path, agent))
    }

    assert found["model-mine.gguf"].state is State.OK
    assert found["model-no.onnx"].state is State.FAILED
    assert found["model-qwen-0.5b"].state is State.SKIPPED
