"""The seam between an agent's tools and the registry that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from runner.config.model import (
    AgentConfig,
    Announcement,
    Effect,
    OnInterrupt,
    ToolConfig,
)


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What the model sees of a tool, and how the engine treats its calls.

    `parameters` is a JSON Schema of type object; `timeout` is in seconds. `announce` is
    said while it runs; False is the file's word that nothing is.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    timeout: float = 30.0
    effect: Effect = "read"
    on_interrupt: OnInterrupt = "cancel"
    announce: Announcement | None = None


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What a call came to: JSON text for the model; `detail` is for the person only."""

    text: str
    is_error: bool = False
    detail: str | None = None


class Tool(Protocol):
    """One callable tool; the registry validates the arguments before `run`."""

    @property
    def definition(self) -> ToolDefinition: ...

    def run(self, arguments: Mapping[str, Any]) -> object:
        """Run one call and return a value that JSON can say; raise to fail.

        An `async def` runs on the event loop and is cancelled when its time is up. A
        plain `def` runs in a worker thread, so that it may block.
        """
        ...


@runtime_checkable
class ClosableTool(Protocol):
    """A tool that holds something open, such as connections."""

    async def close(self) -> None:
        """Let go of it; called once, when the registry is closed."""
        ...


class ToolKind(Protocol):
    """A way to describe tools in an agent file, found by its key (entry-point group
    `vagent.tool_kinds`)."""

    @property
    def key(self) -> str: ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the key's value, composed into the agent schema."""
        ...

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        """Build the tool; raise `ToolError` with a sentence when that is impossible."""
        ...
