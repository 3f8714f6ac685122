"""One whole spoken call with real speech and a real language model, as `make run`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.speech.models import open_model_store

ROOT = Path(__file__).parents[2]
LINES = [
    "What's the weather in London?",
    "Where is my order one two three four?",
    "No, that's all. Goodbye!",
]

pytestmark = pytest.mark.speech


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Runs the call and returns its JSON lines."""
    weights = open_model_store()
    for name in ("whisper-base", "joe", "silero-vad", "smart-turn", "qwen-0.5b"):
        if weights.find(name) is None:
            pytest.skip(f"the weights of {name} are not here: vagent models fetch")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "ASSEMBLYAI_API_KEY"
    }
    say = [word for line in LINES for word in ("--say", line)]
    done = subprocess.run(
        [sys.executable, "agents/tools/orders.py", "--port", "0", "--while"]
        + [sys.executable, "-m", "runner", "run", "agents/support.yaml", "--json"]
        + ["--var", "orders_url={url}", "--output", "null", *say],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def messages(call: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in call if line["type"] == kind]


def test_the_agent_greets_first(call: list[dict[str, Any]]) -> None:
    first = messages(call, "transcript.agent")[0]

    assert first["text"] == "Hi, this is Acme. How can I help?"


def test_the_callers_lines_are_understood(call: list[dict[str, Any]]) -> None:
    heard = " ".join(line["text"] for line in messages(call, "transcript.user"))

    assert "weather in London" in heard
    assert "1234" in heard.replace("-", "").replace(" ", "").replace(",", "")


def test_both_tools_are_called_with_the_right_arguments(
    call: list[dict[str, Any]],
) -> None:
    calls = [(line["name"], line["arguments"]) for line in messages(call, "tool.call")]

    assert ("get_weather", {"location": "London"}) in calls
    assert ("lookup_order", {"order_id": "1234"}) in calls
    assert not any(line.get("is_error") for line in messages(call, "tool.result"))


def test_the_answers_say_what_the_tools_returned(call: list[dict[str, Any]]) -> None:
    said = " ".join(line["text"] for line in messages(call, "transcript.agent"))

    assert "shipped" in said.lower() or "thursday" in said.lower()


def test_the_agent_hangs_up_after_its_goodbye(call: list[dict[str, Any]]) -> None:
    assert messages(call, "vagent.closed")[0]["reason"] == "the agent hung up"
    assert "bye" in messages(call, "transcript.agent")[-1]["text"].lower()


def test_every_answer_is_audible_and_timed(call: list[dict[str, Any]]) -> None:
    summary = messages(call, "vagent.summary")[0]

    assert len(summary["latencies"]) >= 3
    assert summary["interruptions"] == 0
