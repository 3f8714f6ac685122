"""The hosts that receive values of the environment are known before the call."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.loader import load_agent
from runner.engine.compose import find_secret_hosts
from runner.engine.services import Service

ENVIRONMENT = {"TOKEN": 'a"b\\c-4f9c1b7e', "HOST": "tenant.example.net"}
LOCAL = Service("the local service", None, "as asked")


def hosts(folder: Path, text: str, service: Service = LOCAL) -> list[str]:
    path = folder / "agent.yaml"
    path.write_text(f"version: 1\nname: a\nprompt: Be brief.\n{text}", "utf-8")
    return find_secret_hosts(load_agent(path, environment=ENVIRONMENT), service)


def tool(http: str) -> str:
    return f"tools: [{{name: t, description: Look., timeout: 2s, http: {http}}}]\n"


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ('{url: "https://a.example/x"}', []),
        ('{url: "https://a.example/x", headers: {K: "${env:TOKEN}"}}', ["a.example"]),
        ('{url: "https://${env:HOST}/x"}', ["tenant.example.net"]),
        ('{url: "https://a.example/x", query: {k: "${env:TOKEN}"}}', ["a.example"]),
        (
            '{url: "http://127.0.0.1:1/x", headers: {K: "${env:TOKEN}"}, '
            "allow_private: true}",
            [],
        ),
    ],
)
def test_a_tool_s_host_is_named_if_it_receives_a_value(
    tmp_path: Path, http: str, expected: list[str]
) -> None:
    assert hosts(tmp_path, tool(http)) == expected


def test_a_service_that_receives_a_value_is_named(tmp_path: Path) -> None:
    text = 'service: {url: "wss://svc.example/ws?t=${env:HOST}"}\n'
    url = f"wss://svc.example/ws?t={ENVIRONMENT['HOST']}"
    assert hosts(tmp_path, text, Service(url, url, "as asked")) == ["svc.example"]
    assert hosts(tmp_path, text) == []


def test_a_language_model_is_named_if_the_local_service_uses_it(tmp_path: Path) -> None:
    text = 'local: {llm: {url: "https://llm.example/v1", key: "${env:TOKEN}"}}\n'
    assert hosts(tmp_path, text) == ["llm.example"]
    url = "wss://agents.assemblyai.com/v1/ws"
    assert hosts(tmp_path, text, Service("AssemblyAI", url, "as asked")) == []
