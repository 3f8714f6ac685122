"""From a path to an agent and its tools, with the tool kinds that are installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from runner.config.confidential import agent_secrets
from runner.config.loader import load_agent
from runner.config.model import AgentConfig
from runner.tools.plugins import installed_kinds
from runner.tools.registry import ToolRegistry, load_tools


def load_agent_and_tools(
    path: Path,
    variables: Mapping[str, str],
    environment: Mapping[str, str],
    hide: Callable[[frozenset[str]], None] = lambda secrets: None,
) -> tuple[AgentConfig, ToolRegistry]:
    """Return an agent and its tools.

    `hide` is given the file's secrets before any tool is loaded, whose failure may
    quote them.

    Raises:
        ConfigError: the file has findings. ToolError: a tool cannot be loaded.
    """
    kinds = installed_kinds()
    agent = load_agent(
        path,
        environment=environment,
        variables=variables,
        kinds={key: kind.schema for key, kind in kinds.items()},
    )
    hide(agent_secrets(agent))
    return agent, load_tools(agent, kinds)
