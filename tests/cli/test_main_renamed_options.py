"""Former names of options, variables and keys are refused with the new name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli.main import RENAMED_OPTIONS


def vagent(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.mark.parametrize(("command", "old"), RENAMED_OPTIONS)
def test_an_old_option_is_refused_with_the_new_one(command: str, old: str) -> None:
    done = vagent(command, f"{old}=x")

    assert done.returncode == 2
    assert f"unknown option '{old}'" in done.stderr
    assert f"use {RENAMED_OPTIONS[command, old]}" in done.stderr


@pytest.mark.parametrize("command", sorted({name for name, _ in RENAMED_OPTIONS}))
def test_the_new_options_are_in_the_help(command: str) -> None:
    shown = vagent(command, "--help").stdout

    for (name, old), new in RENAMED_OPTIONS.items():
        if name == command:
            assert f"{new} " in shown
            assert f"{old} " not in shown


def test_a_value_after_two_dashes_is_not_an_option() -> None:
    assert "unknown option" not in vagent("test", "--list", "--", "--keep").stderr


def test_options_of_the_service_are_not_options_of_serve() -> None:
    done = vagent("serve", "--fault", "help")

    assert done.returncode == 2
    assert "hint: use `vagent service --fault`" in done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("VAGENT_BRAIN_KEY", "VAGENT_LLM_KEY"),
        ("VAGENT_SERVE_KEY", "VAGENT_SERVICE_KEY"),
    ],
)
def test_an_old_variable_is_refused_and_its_value_not_shown(old: str, new: str) -> None:
    done = vagent("service", "--no-models", "--port", "0", **{old: "s3cret"})

    assert done.returncode == 2
    assert f"{old} is now {new}" in done.stderr
    assert "s3cret" not in done.stderr


OLD_AGENT = """\
version: 1
name: shop
prompt: You help.
local: {recognizer: whisper-base, brain: {url: "http://localhost:1/v1"}, voice: joe}
tools: [{plugin: end_call}]
"""
OLD_SCENARIOS = """\
agent: shop.yaml
scenarios:
  - name: ends
    brain: &rules # stays
      - hears: bye
        calls: [end_call]
    turns:
      - user: bye
      - call: end_call
      - line: {drops: 2s}
      - expect: {calls: [end_call]}
  - name: ends again
    brain: *rules
    turns: [{user: bye}, {call: {tool: end_call}}]
"""


def test_files_with_old_keys_are_named_and_fixed(tmp_path: Path) -> None:
    agent, suite = tmp_path / "shop.yaml", tmp_path / "shop.test.yaml"
    agent.write_text(OLD_AGENT, "utf-8")
    suite.write_text(OLD_SCENARIOS, "utf-8")

    refused = vagent("run", str(agent), "--input", "none")
    assert refused.returncode == 1
    assert "it was renamed to `llm`" in refused.stderr
    assert "`vagent validate --fix`" in refused.stderr

    fixed = vagent("validate", "--fix", "--quiet", str(agent), str(suite))

    assert fixed.returncode == 0, fixed.stdout
    assert agent.read_text("utf-8") == (
        OLD_AGENT.replace("recognizer:", "stt:")
        .replace("brain:", "llm:")
        .replace("voice:", "tts:")
    )
    assert suite.read_text("utf-8") == (
        OLD_SCENARIOS.replace("brain:", "llm:")
        .replace("hears:", "user_says:")
        .replace("calls:", "tool_calls:")
        .replace("call:", "tool_call:")
        .replace("line:", "connection:")
    )
