"""Tools and a tool kind that come from outside vagent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.config.model import AgentConfig, ToolConfig
from runner.tools.plugins import tool
from runner.tools.tool import Tool, ToolDefinition, ToolTraits, define_tool

NUMBER = 3


@tool(effect="write", timeout=4)
def shop_hours(day: str) -> str:
    """Return the opening time of the shop."""
    return f"{day}: nine to five"


class Ready:
    """A tool as an object."""

    definition = ToolDefinition("shop_ready", "Tell whether the shop is open.", {})

    async def run(self, arguments: Mapping[str, Any]) -> object:
        return True


SHOP_READY = Ready()


class ShopStock:
    """A tool with settings in the agent file."""

    def __init__(self, region: str = "eu") -> None:
        if region == "mars":
            raise ValueError("no k3y for mars")
        self._region = region
        self.definition = ToolDefinition("shop_stock", "Count the stock.", {})

    def run(self, arguments: Mapping[str, Any]) -> object:
        return {"region": self._region, "stock": 12}


class Fixed:
    """A tool that always answers the same."""

    def __init__(self, definition: ToolDefinition, answer: object) -> None:
        self.definition = definition
        self._answer = answer

    async def run(self, arguments: Mapping[str, Any]) -> object:
        return self._answer


class FixedKind:
    """`fixed: ANSWER` in an agent file."""

    key = "fixed"
    schema: Mapping[str, Any] = {"type": "string", "description": "The answer."}

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        return Fixed(define_tool(config, {}, ToolTraits()), config.settings)


class InvalidKind(FixedKind):
    """A kind with an invalid schema."""

    key = "invalid"
    schema: Mapping[str, Any] = {"type": "sentence"}
