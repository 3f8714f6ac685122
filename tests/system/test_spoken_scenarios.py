"""A scenario of agents/ on the local service: real speech, a real language model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.recording.reader import read_recording
from runner.speech.models import open_model_store
from runner.testing import ScenarioResult, Status, TestOptions, run_scenario
from runner.testing.replay_result import replay_and_compare
from runner.testing.scenarios.loader import load_suite

pytestmark = pytest.mark.speech

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    """Runs a scenario and keeps its recording."""
    weights = open_model_store()
    for name in ("whisper-base", "joe", "silero-vad", "smart-turn", "qwen-0.5b"):
        if weights.find(name) is None:
            pytest.skip(f"the weights of {name} are not here: vagent models fetch")
    suite = load_suite(ROOT / "agents" / "support.test.yaml")
    (tried,) = (each for each in suite.scenarios if "Python" in each.name)
    keep = tmp_path_factory.mktemp("recordings")
    wishes = TestOptions(
        service="local", environment=dict(os.environ), keep=keep, keep_passed=True
    )
    return run_scenario(tried, wishes)


def test_a_scenario_passes_with_real_speech(result: ScenarioResult) -> None:
    assert result.status is Status.PASSED, (result.failure, result.error, result.said)
    assert result.calls[0].arguments == {"location": "London"}


def test_its_recording_has_both_voices_and_replays(result: ScenarioResult) -> None:
    assert result.recording is not None
    recording = read_recording(result.recording)

    assert recording.is_complete
    assert replay_and_compare(result.recording).is_equal
    for name in ("caller.wav", "agent.wav", "both.wav"):
        assert (result.recording / name).stat().st_size > 100_000
