"""From a path to an agent and its tools, with the tool kinds that are installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runner.config.loader import load_agent
from runner.config.model import AgentConfig
from runner.tools.plugin import installed_kinds
from runner.tools.registry import ToolRegistry, load_tools


def load_agent_and_tools(
    path: Path, variables: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[AgentConfig, ToolRegistry]:
    """Return an agent and its tools.

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
    return agent, load_tools(agent, kinds)
