from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.config.diagnostics import Diagnostic, render
from runner.config.files import load_environment
from runner.config.loader import check_file

RULES = {"VA601", "VA602", "VA603", "VA604", "VA605", "VA606", "VA607", "VA608"}
KEY = "sk-proj-Jq3vT8mZc1LwX7rN5kYdB2sHfG9aQeU4"
HTTP = {"url": "https://api.example.com/x"}


def check(folder: Path, **fields: Any) -> list[Diagnostic]:
    path = folder / "agent.yaml"
    agent = {"version": 1, "name": "a", "prompt": "Be brief.", **fields}
    path.write_text(json.dumps(agent, indent=1), "utf-8")
    found = check_file(path, environment={"SET": "x", "ASSEMBLYAI_API_KEY": "x"})
    return [each for each in found if each.rule in RULES]


def rules_of(folder: Path, **fields: Any) -> list[str]:
    return [each.rule for each in check(folder, **fields)]


def a_tool(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "look", "description": "Look.", "http": HTTP, **fields}]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": f"Your key is {KEY}."},
        {"greeting": KEY},
        {"tools": [{"plugin": {"name": "end_call", "note": KEY}}]},
        {"variables": {"v": {"default": KEY}}},
        {"nonsense": KEY},
        {"version": KEY},
    ],
)
def test_a_key_in_clear_is_found_anywhere_and_never_shown(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    path = tmp_path / "agent.yaml"
    agent = {"version": 1, "name": "a", "prompt": "Be brief.", **fields}
    path.write_text(json.dumps(agent), "utf-8")
    found = check_file(path, environment={})
    assert "VA602" in {each.rule for each in found}
    assert KEY[8:] not in render(found)


def test_a_key_in_a_file_that_is_not_yaml_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(f'version: 1\nname: a\nprompt: "{KEY} "and"\n', "utf-8")
    found = check_file(path, environment={})
    assert "VA101" in {each.rule for each in found}
    assert KEY[8:] not in render(found)


def test_a_key_in_a_comment_and_in_the_prompt_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text(f"Be brief.\n{KEY}\n", "utf-8")
    path = tmp_path / "agent.yaml"
    path.write_text(f"version: 1 # {KEY}\nname: a\nprompt_file: p.md\n", "utf-8")
    found = [e for e in check_file(path, environment={}) if e.rule == "VA602"]
    assert [(Path(each.path).name, each.line) for each in found] == [
        ("agent.yaml", 1),
        ("p.md", 2),
    ]
    assert KEY[8:] not in render(found)


@pytest.mark.parametrize(
    ("http", "is_found"),
    [
        ({"headers": {"X-Api-Key": "7d1f-shop"}}, True),
        ({"headers": {"X-Api-Key": "Bearer ${env:SET}"}}, False),
        ({"headers": {"Authorization": "Bearer 12345-67890"}}, True),
        ({"headers": {"Authorization": "Bearer"}}, False),
        ({"headers": {"X-Token-Type": "bearer"}}, False),
        ({"headers": {"X-Auth-Mode": "signature"}}, False),
        ({"headers": {"Author": "somebody-2"}}, False),
        ({"headers": {"Accept": "application/vnd.example.v3+json"}}, False),
        ({"query": {"token": "abc-123-def"}}, True),
        ({"query": {"page_token": "${env:SET}"}}, False),
        ({"query": {"format": "short-2"}}, False),
        ({"url": "https://x.example.com/?key=1&token=abc-123-def"}, True),
        ({"url": "https://x.example.com/?token=${env:SET}"}, False),
        ({"url": "https://x.example.com/tokens/secret-2"}, False),
    ],
)
def test_a_value_whose_name_says_secret_is_doubted(
    tmp_path: Path, http: dict[str, Any], is_found: bool
) -> None:
    found = rules_of(tmp_path, tools=a_tool(http={**HTTP, **http}))
    assert found == ["VA603"] * is_found


def test_a_parameter_may_be_called_token(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"token": {"type": "string", "examples": ["123-456-789"]}},
    }
    assert rules_of(tmp_path, tools=a_tool(parameters=schema)) == []


def test_a_wrong_value_of_a_secret_name_is_not_shown(tmp_path: Path) -> None:
    llm = {"url": "http://127.0.0.1/v1", "key": 123456789}
    path = tmp_path / "agent.yaml"
    agent = {"version": 1, "name": "a", "prompt": "p", "local": {"llm": llm}}
    path.write_text(json.dumps(agent), "utf-8")
    found = check_file(path, environment={})
    assert "VA201" in {each.rule for each in found}
    assert "123456789" not in render(found)


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        ({"effect": "read"}, False),
        ({}, False),
        ({"effect": "write"}, True),
        ({"effect": "terminal"}, True),
        ({"effect": "write", "description": "Book, once CONFIRMED."}, False),
        ({"effect": "write", "description": "Buchen, nach Bestätigung."}, False),
        ({"effect": "write", "description": "After reading it back."}, False),
    ],
)
def test_what_changes_something_asks_first(
    tmp_path: Path, fields: dict[str, Any], is_found: bool
) -> None:
    assert rules_of(tmp_path, tools=a_tool(**fields)) == ["VA605"] * is_found


def test_a_plugin_describes_itself(tmp_path: Path) -> None:
    tools = [{"plugin": "current_time", "effect": "write"}]
    assert rules_of(tmp_path, tools=tools) == []


@pytest.mark.parametrize(
    ("url", "is_found"),
    [
        ("https://api.example.com/", True),
        ("https://assemblyai.com.example.com/", True),
        ("http://agents.assemblyai.com/", True),
        ("https://agents.eu.assemblyai.com/v1", False),
        ("https://notassemblyai.com/", True),
    ],
)
def test_the_services_key_is_for_the_service(
    tmp_path: Path, url: str, is_found: bool
) -> None:
    headers = {"Authorization": "Bearer ${env:ASSEMBLYAI_API_KEY}"}
    found = rules_of(tmp_path, tools=a_tool(http={"url": url, "headers": headers}))
    assert found == ["VA606"] * is_found


@pytest.mark.parametrize(
    "reference", ["os:system", "os", "subprocess.run", "mypackage.tools:lookup"]
)
def test_a_module_is_not_a_tool(tmp_path: Path, reference: str) -> None:
    path = tmp_path / "agent.yaml"
    agent = {"version": 1, "name": "a", "prompt": "p", "tools": [{"python": reference}]}
    path.write_text(json.dumps(agent), "utf-8")
    errors = [each for each in check_file(path, environment={}) if each.is_error]
    assert [each.rule for each in errors] == ["VA607"]


def test_a_plugin_that_is_not_there_stops_a_run_only(tmp_path: Path) -> None:
    (found,) = check(tmp_path, tools=[{"plugin": "endcall"}])
    assert (found.rule, found.severity) == ("VA608", "warning")
    assert found.help == "did you mean `end_call`?"
    path = tmp_path / "agent.yaml"
    found = check_file(path, environment={}, must_run=True)[0]
    assert (found.rule, found.severity) == ("VA608", "error")


@pytest.mark.parametrize(
    "name", [".env", ".env.local", "prod.env", ".hidden/prompt.md", "./.env", "a/.env"]
)
def test_a_prompt_file_that_is_hidden_or_an_environment_is_refused(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("API_KEY=hunter2hunter2\n")
    agent = tmp_path / "agent.yaml"
    agent.write_text(f"version: 1\nname: a\nprompt_file: {name}\n")
    found = check_file(agent, environment={})
    assert [each.rule for each in found if each.is_error] == ["VA601"]


@pytest.mark.parametrize("field", ["prompt", "greeting", "prompt_file"])
def test_a_value_of_the_dot_env_file_in_a_prompt_is_an_error_that_masks_it(
    tmp_path: Path, field: str
) -> None:
    (tmp_path / ".env").write_text("DB_PASSWORD=swordfish-77\nCITY=Hamburg\n")
    text = "In Hamburg say swordfish-77 to open."
    (tmp_path / "prompt.md").write_text(text)
    agent = tmp_path / "agent.yaml"
    value = "prompt.md" if field == "prompt_file" else text
    prompt = "prompt: p\n" if field == "greeting" else ""
    agent.write_text(f"version: 1\nname: a\n{prompt}{field}: {value}\n")
    found = check_file(agent, environment=load_environment(tmp_path, {}))
    errors = [each for each in found if each.is_error]
    assert [each.rule for each in errors] == ["VA602"]
    assert "`DB_PASSWORD` in .env" in errors[0].message
    assert "swordfish" not in str(errors[0]) + errors[0].excerpt
