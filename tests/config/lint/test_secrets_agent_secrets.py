from __future__ import annotations

from pathlib import Path

from runner.config.lint.secrets import agent_secrets, credentials_in
from runner.config.model import AgentConfig, LlmConfig, LocalConfig, ToolConfig

KEY = "sk-proj-Zq8pLm3vT9xWc2Rb7KdYh5"


def agent(**more: object) -> AgentConfig:
    basis = {"path": Path("a.yaml"), "version": 1, "name": "a", "prompt": "Hello."}
    return AgentConfig(**{**basis, **more})  # type: ignore[arg-type]  # by name


def test_what_came_from_the_environment_and_keys_are_secret() -> None:
    found = agent_secrets(
        agent(
            secrets=frozenset({"from-the-environment"}),
            local=LocalConfig(llm=LlmConfig(key="key-of-the-brain")),
            prompt=f"Use {KEY}.",
        )
    )

    assert {"from-the-environment", "key-of-the-brain"} <= found
    assert any(each in KEY and len(each) > 15 for each in found)


def test_headers_are_secret_by_their_names_with_and_without_their_scheme() -> None:
    headers = {
        "Authorization": "Bearer abc-def-ghi",
        "X-Api-Key": "jkl-mno-pqr",
        "Cookie": "stu-vwx",
        "Accept": "application/json",
    }
    tools = (
        ToolConfig("http", {"url": "https://example.org", "headers": headers}),
        ToolConfig("python", "tools/a.py:b"),
        ToolConfig("http", {"headers": "broken"}),
    )

    assert agent_secrets(agent(tools=tools)) == {
        *("Bearer abc-def-ghi", "abc-def-ghi", "jkl-mno-pqr", "stu-vwx")
    }


def test_a_text_without_keys_has_none() -> None:
    assert list(credentials_in("just words")) == []
