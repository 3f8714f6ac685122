from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.config.model import LlmConfig, VoiceConfig, build_agent, resolve_variables

PLAIN = {"version": 1, "name": "a", "prompt": "p"}


def build(**fields: Any) -> Any:
    return build_agent(Path("a.yaml"), {**PLAIN, **fields}, None, {}, {})


@pytest.mark.parametrize(
    ("voice", "expected"),
    [
        ("alba", VoiceConfig("alba")),
        ({"volume": 3}, VoiceConfig(None, 3)),
        ({"name": "alba", "volume": 3}, VoiceConfig("alba", 3)),
    ],
)
def test_a_voice_is_a_name_or_a_mapping(voice: Any, expected: VoiceConfig) -> None:
    assert build(voice=voice).voice == expected


def test_a_brain_is_a_name_or_an_endpoint() -> None:
    assert build(local={"llm": "rules"}).local.llm == LlmConfig("rules")
    assert build(local={"llm": {"url": "http://h"}}).local.llm.url == "http://h"
    assert build(local={}).local.llm == LlmConfig("auto")


def test_a_version_that_was_written_as_a_float_is_whole() -> None:
    assert build(version=1.0).version == 1
    assert type(build(version=1.0).version) is int


def test_a_tool_keeps_the_key_of_its_kind() -> None:
    (tool,) = build(tools=[{"serial": {"port": 1}, "timeout": "500ms"}]).tools
    assert (tool.kind, tool.settings, tool.timeout) == ("serial", {"port": 1}, 0.5)
    assert (tool.name, tool.description, tool.parameters) == (None, None, None)


def test_given_values_come_before_defaults() -> None:
    value = {"variables": {"a": {"default": "1"}, "b": {"default": "2"}, "c": {}}}
    assert resolve_variables(value, {"b": "3"}) == {"a": "1", "b": "3"}


def test_an_empty_environment_variable_is_not_a_secret() -> None:
    fields = {**PLAIN, "service": {"url": "wss://h${env:E}"}}
    agent = build_agent(Path("a"), fields, None, {}, {"E": ""})
    assert agent.secrets == frozenset()
