"""Agents of other tools are converted, and the rest is listed with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.conversion import Conversion, convert, recognize
from runner.config.loader import check_file
from runner.config.source import Source
from runner.config.yaml.parser import parse_document
from runner.config.yaml.writer import write_yaml

VAPI = {
    "id": "an id of the account",
    "name": "Clinic Line",
    "firstMessage": "Hi {{customer name}}, this is the clinic.",
    "model": {
        "provider": "openai",
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "You are the clinic.\n\nCosts: ${5}."}
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "book",
                    "description": "Book a slot.",
                    "parameters": {
                        "type": "object",
                        "properties": {"day": {"type": "string"}},
                    },
                },
                "messages": [{"type": "request-start", "content": "One moment."}],
            },
            {
                "type": "apiRequest",
                "name": "get_slot",
                "url": "https://api.example.com/slots/{{day}}",
                "method": "get",
                "body": {"type": "object", "properties": {"day": {"type": "string"}}},
            },
            {"type": "endCall"},
            {"type": "transferCall", "destinations": []},
        ],
    },
    "voice": {"provider": "11labs", "voiceId": "burt"},
    "transcriber": {"language": "en-US", "keywords": ["Acme:2"]},
    "maxDurationSeconds": 600,
}
RETELL = {
    "agent_name": "Shop",
    "max_call_duration_ms": 3_600_000,
    "retellLlmData": {
        "general_prompt": "You help {{user}}.",
        "begin_message": "Hello!",
        "general_tools": [
            {"type": "end_call", "name": "end_call"},
            {
                "type": "custom",
                "name": "look-up",
                "description": "Look it up.",
                "url": "https://api.example.com/x",
                "method": "POST",
                "parameters": {
                    "type": "object",
                    "properties": {"q": {"type": "string"}},
                },
                "timeout_ms": 8000,
            },
        ],
    },
}
ELEVENLABS = {
    "name": "Weather",
    "conversation_config": {
        "agent": {
            "first_message": "Hi!",
            "prompt": {
                "prompt": "You are nice.",
                "llm": "gemini",
                "tools": [
                    {
                        "type": "webhook",
                        "name": "weather",
                        "description": "Get the weather.",
                        "api_schema": {
                            "url": "https://api.example.com/{city}",
                            "path_params_schema": {"city": {"type": "string"}},
                            "request_headers": {"X-Key": {"secret_id": "s"}},
                        },
                    },
                ],
            },
        },
    },
}
DOCKER_AGENT = {
    "version": "2",
    "agents": {
        "root": {"model": "openai/gpt-4o", "instruction": "You are a guide."},
        "other": {"instruction": "You are another one."},
    },
}
ADK = {
    "name": "greeter",
    "model": "gemini",
    "instruction": "You greet.",
    "tools": [{"name": "google_search"}],
}
OPENAI = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather.",
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
        },
    }
]
ALL = {
    "Vapi": VAPI,
    "Retell": RETELL,
    "ElevenLabs": ELEVENLABS,
    "docker-agent": DOCKER_AGENT,
    "ADK": ADK,
    "OpenAI": OPENAI,
}


def converted(value: Any) -> Conversion:
    document, _ = parse_document(Source("it.json", json.dumps(value, indent=1)))
    assert document is not None
    result = convert(document)
    assert result is not None
    return result


@pytest.mark.parametrize("name", ALL)
def test_each_format_is_recognized_and_becomes_a_valid_agent(
    name: str, tmp_path: Path
) -> None:
    assert recognize(ALL[name]) == name
    result = converted(ALL[name])
    path = tmp_path / "agent.yaml"
    agent = {"version": 1, "prompt": "Be brief.", **result.agent}
    path.write_text(write_yaml(agent), "utf-8")
    if result.functions:
        (tmp_path / "tools").mkdir()
        code = "".join(f"def {each}(**any): ...\n" for each in result.functions)
        (tmp_path / "tools/converted.py").write_text(code, "utf-8")
    errors = [
        each for each in check_file(path, environment={}) if each.severity == "error"
    ]
    assert errors == []


@pytest.mark.parametrize(
    "value",
    [{}, [], None, "x", {"version": 1, "name": "a", "prompt": "p"}, {"tools": []}],
)
def test_another_file_is_not_recognized(value: Any) -> None:
    assert recognize(value) is None


@pytest.mark.parametrize("name", ALL)
def test_the_checker_names_the_tool_and_the_command(name: str, tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    path.write_text(json.dumps(ALL[name]), "utf-8")
    (found,) = check_file(path, environment={})
    assert found.message == f"this is an agent of another tool ({name})"
    assert found.help == f"convert it with `vagent new --from {path}`"


def test_an_agent_of_vapi_is_converted() -> None:
    result = converted(VAPI)
    assert result.agent == {
        "name": "clinic-line",
        "prompt": "You are the clinic.\n\nCosts: $${5}.",
        "variables": {"customer_name": {"description": "was {{customer name}}"}},
        "greeting": "Hi ${customer_name}, this is the clinic.",
        "key_terms": ["Acme"],
        "languages": ["en"],
        "session": {"max_duration": "600s"},
        "tools": [
            {
                "name": "book",
                "python": "tools/converted.py:book",
                "description": "Book a slot.",
                "parameters": {
                    "type": "object",
                    "properties": {"day": {"type": "string"}},
                },
                "announce": "One moment.",
            },
            {
                "name": "get_slot",
                "description": "Calls https://api.example.com/slots/{day}.",
                "parameters": {
                    "type": "object",
                    "properties": {"day": {"type": "string"}},
                    "required": ["day"],
                },
                "http": {
                    "method": "GET",
                    "url": "https://api.example.com/slots/{day}",
                },
            },
            {"plugin": "end_call"},
        ],
    }
    assert result.functions == {"book": "Book a slot."}


def test_a_part_without_a_counterpart_is_listed_with_its_line() -> None:
    notes = {note.path: note for note in converted(VAPI).notes}
    assert set(notes) == {"model.model", "model.tools.3", "voice"}
    text = json.dumps(VAPI, indent=1).split("\n")
    assert '"voice"' in text[notes["voice"].line - 1]
    assert "transferCall" in notes["model.tools.3"].text


def test_a_secret_of_the_account_is_listed_and_not_copied() -> None:
    result = converted(ELEVENLABS)
    assert "secret_id" not in json.dumps(result.agent)
    assert any("X-Key" in note.path for note in result.notes)


def test_the_other_agents_of_a_team_are_listed() -> None:
    paths = [note.path for note in converted(DOCKER_AGENT).notes]
    assert paths == ["agents.root.model", "agents.other"]


KEYS = st.sampled_from(
    (
        *("name", "model", "messages", "tools", "type", "function", "agents", "root"),
        *("instruction", "agent", "prompt", "url", "conversation_config", "role"),
        *("general_tools", "retellLlmData", "firstMessage", "parameters"),
    )
)
SCALARS = st.none() | st.booleans() | st.integers(0, 9) | st.just("function")
VALUES = st.recursive(
    SCALARS | st.just("{{x}}"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_any_file_is_converted_or_not_recognized(value: Any) -> None:
    document, _ = parse_document(Source("it.json", json.dumps(value)))
    if document is not None and recognize(document.value):
        assert convert(document) is not None
