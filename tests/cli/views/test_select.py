"""Selection of the view, and contradicting options."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from runner.cli.main import build_app


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--view", "chatty"], "--view must be one of chat, wire, plain, not 'chatty'"),
        (["--view", "plain", "--json"], "--json and --view plain contradict"),
        (["--view", "chat"], "--view chat needs a terminal"),
        (["--quiet", "--verbose"], "--quiet and --verbose contradict"),
        (["--push-to-talk", "--text"], "--push-to-talk needs the microphone"),
        (["--push-to-talk", "--say", "hi"], "--push-to-talk needs the microphone"),
        (["--push-to-talk", "--input", "a.wav"], "--push-to-talk needs the micro"),
    ],
)
def test_contradicting_options_are_rejected(options: list[str], said: str) -> None:
    result = CliRunner().invoke(build_app("run"), ["run", "agent.yaml", *options])

    assert result.exit_code != 0
    assert said in str(result.exception)
