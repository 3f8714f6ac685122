from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import MappingProxyType

import pytest

from runner.doctor.findings import State
from runner.doctor.models import check_models, judge_models
from runner.doctor.wishes import Wishes
from runner.speech.manifest import Manifest, Model, WeightFile
from runner.speech.weights import Weights

DATA = b"weights" * 1000


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    """A cache with a model that is there, and one that is not."""
    models = {}
    for name in ("here", "absent"):
        digest = hashlib.sha256(DATA).hexdigest()
        file = WeightFile("w.bin", len(DATA), digest, None, ())
        models[name] = Model(name, "voice", "to speak", "MIT", "us", None, (file,))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "w.bin").write_bytes(DATA)
    return Weights(tmp_path, Manifest(MappingProxyType(models)))


def test_a_model_counts_by_its_hash(weights: Weights) -> None:
    here, absent = judge_models(weights, ["here", "absent"])

    assert (here.name, here.state) == ("model-here", State.OK)
    assert absent.state is State.FAILED
    assert absent.fix == "vagent models fetch absent"


def test_what_changed_on_the_disk_without_a_trace_is_found(weights: Weights) -> None:
    path = weights.folder / "here" / "w.bin"
    assert weights.standing("here").present
    status = path.stat()
    path.write_bytes(DATA[:-1] + b"!")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    here, _ = judge_models(weights, [])

    assert weights.standing("here").present  # its stamp still fits
    assert here.state is State.FAILED
    assert "'w.bin' is damaged" in here.detail


def test_what_nobody_needs_may_be_absent(weights: Weights) -> None:
    _, absent = judge_models(weights, [])

    assert absent.state is State.SKIPPED


def test_who_calls_a_service_needs_no_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_MODELS", str(tmp_path))
    monkeypatch.delenv("VAGENT_LOCAL_LLM", raising=False)
    key = {"ASSEMBLYAI_API_KEY": "0" * 32}

    with_key = list(check_models(Wishes(key, tmp_path)))
    without = list(check_models(Wishes({}, tmp_path)))

    assert {each.state for each in with_key} == {State.SKIPPED}
    assert [each.name for each in without if each.state is State.FAILED] == [
        "model-whisper-base",
        "model-joe",
        "model-silero-vad",
        "model-smart-turn",
        "model-qwen-0.5b",
    ]


def test_weights_of_ones_own_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_MODELS", str(tmp_path / "cache"))
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")
    agent = tmp_path / "agent.yaml"
    agent.write_text(
        "version: 1\nname: x\nprompt: Be brief.\n"
        f"local: {{llm: {tmp_path / 'mine.gguf'}, tts: {tmp_path / 'no.onnx'}}}\n"
    )
    found = {each.name: each for each in check_models(Wishes({}, tmp_path, agent))}

    assert found["model-mine.gguf"].state is State.OK
    assert found["model-no.onnx"].state is State.FAILED
    assert found["model-qwen-0.5b"].state is State.SKIPPED
