from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file

RULES = {f"VA{number}" for number in range(430, 450)}
URL = "https://api.example.com/lamps"


def check(
    folder: Path, http: dict[str, Any], session: Any = None, **fields: Any
) -> list[Diagnostic]:
    tool = {
        "name": "find_lamp",
        "description": "Find a lamp by its colour.",
        "http": {"url": URL, **http},
        **fields,
    }
    agent = {"version": 1, "name": "a", "prompt": "Be brief.", "tools": [tool]}
    if session is not None:
        agent["session"] = session
    path = folder / "agent.yaml"
    path.write_text(json.dumps(agent), "utf-8")
    found = check_file(path, environment={"SET": "x"})
    return [each for each in found if each.rule in RULES]


def rules_of(*arguments: Any, **fields: Any) -> list[str]:
    return [each.rule for each in check(*arguments, **fields)]


def marked(found: Diagnostic) -> str:
    return found.excerpt[found.column - 1 : found.end_column - 1]


@pytest.mark.parametrize(
    ("url", "rules"),
    [
        ("https://api.example.com/", []),
        ("http://api.example.com/", ["VA432"]),
        ("http://localhost:8080/", ["VA430"]),
        ("http://127.0.0.1/", ["VA430"]),
        ("https://10.1.2.3/", ["VA430"]),
        ("https://192.168.0.9:8443/", ["VA430"]),
        ("https://[::1]/", ["VA430"]),
        ("https://[fe80::1]/", ["VA430"]),
        ("https://printer.local/", ["VA430"]),
        ("https://8.8.8.8/", []),
        ("https://127.example.com/", []),
        ("https://localhost.example.com/", []),
        ("http://169.254.169.254/latest", ["VA431"]),
        ("https://metadata.google.internal/", ["VA431"]),
        ("https://shop:word@api.example.com/", ["VA433"]),
        ("https://api.example.com/@shop", []),
        ("https://api.example.com:0/", ["VA434"]),
        ("https://api.example.com:65536/", ["VA434"]),
        ("https://api.example.com:x/", ["VA434"]),
        ("https://api.example.com:8443/", []),
        ("https:///orders", ["VA434"]),
        ("https://api.example.com/a lamp", ["VA434"]),
        ("https://[::1/", ["VA434"]),
        ("https://api.example.com/#x", ["VA435"]),
        ("https://api.example.com/#", ["VA435"]),
        ("${env:SET}", []),
        ("${env:SET}/lamps", []),
        ("https://${env:SET}:8443/lamps", []),
        ("http://${env:SET}/lamps", []),
    ],
)
def test_whom_a_tool_may_ask(tmp_path: Path, url: str, rules: list[str]) -> None:
    assert sorted(rules_of(tmp_path, {"url": url})) == rules


@pytest.mark.parametrize("url", ["http://localhost/", "http://10.0.0.1:80/"])
def test_a_private_address_may_be_allowed(tmp_path: Path, url: str) -> None:
    assert rules_of(tmp_path, {"url": url, "allow_private": True}) == []


def test_the_host_is_marked(tmp_path: Path) -> None:
    (found,) = check(tmp_path, {"url": "http://192.168.0.9:80/lamps"})
    assert marked(found) == "192.168.0.9"


COLOUR = {"type": "object", "properties": {"colour": {"type": "string", "enum": ["r"]}}}
POST = {"method": "POST"}


@pytest.mark.parametrize(
    ("http", "fields", "rules"),
    [
        ({"url": f"{URL}?colour=red"}, {"parameters": COLOUR}, ["VA436"]),
        ({"url": f"{URL}?colour=red"}, {}, []),
        ({"url": f"{URL}?a=1", "query": {"a": 2}}, {}, ["VA436"]),
        ({"query": {"colour": "r"}}, {"parameters": COLOUR}, ["VA436"]),
        ({"query": {"other": "r"}}, {"parameters": COLOUR}, []),
        (
            {**POST, "query": {"colour": "r"}},
            {"parameters": COLOUR, "effect": "read"},
            [],
        ),
        ({"body": "form"}, {}, ["VA437"]),
        ({"body": "form", **POST}, {"effect": "read"}, []),
        (POST, {}, []),
        ({"method": "PUT"}, {}, ["VA438"]),
        (POST, {"effect": "write"}, []),
        ({"method": "DELETE"}, {}, ["VA438"]),
        ({"method": "HEAD"}, {}, []),
        ({"retries": 2}, {}, []),
        ({"retries": 0}, {"effect": "write"}, []),
        ({"retries": 2}, {"effect": "write"}, ["VA439"]),
        ({"retries": 2, **POST}, {"effect": "read"}, ["VA439"]),
        ({"retries": 2, "method": "PUT"}, {"effect": "read"}, []),
        ({"headers": {"Authorisation": "x"}}, {}, ["VA440"]),
        ({"headers": {"authorization": "x"}}, {}, []),
        ({"headers": {"X-API-KEY": "${env:SET}"}}, {}, []),
        ({"headers": {"X-Api-Kye": "${env:SET}"}}, {}, ["VA440"]),
        ({"headers": {"X-Shop": "x"}}, {}, []),
        ({"headers": {"Host": "x"}}, {}, ["VA441"]),
        ({"headers": {"Content-Type": "text/plain"}}, {}, []),
        (
            {"headers": {"content-type": "text/plain"}, **POST},
            {"effect": "read"},
            ["VA441"],
        ),
        (
            {"headers": {"content-type": "application/json"}, **POST},
            {"effect": "read"},
            [],
        ),
        ({"headers": {"Accept": "a", "accept": "b"}}, {}, ["VA442"]),
        ({}, {"timeout": "121s"}, ["VA443"]),
        ({}, {"timeout": "120s"}, []),
        ({}, {"timeout": "60s", "session": {"max_duration": "1m"}}, ["VA443"]),
        ({}, {"timeout": "59s", "session": {"max_duration": "1m"}}, []),
        (
            {"headers": {"X-Colour": "{colour}"}},
            {"parameters": COLOUR},
            ["VA444"],
        ),
        ({"headers": {"X-Colour": "{other}"}}, {"parameters": COLOUR}, []),
        ({"query": {"q": "a {colour} lamp"}}, {"parameters": COLOUR}, ["VA444"]),
        ({"query": {"q": "${colour}"}}, {"parameters": COLOUR}, []),
    ],
)
def test_what_a_tool_sends(
    tmp_path: Path, http: dict[str, Any], fields: dict[str, Any], rules: list[str]
) -> None:
    assert rules_of(tmp_path, http, **fields) == rules
