"""Interfaces of tools and tool kinds, and the decorator `tool`.

`tool` sets the traits of a function; the agent file overrides them:

    @tool(effect="write", timeout=10)
    async def book_table(day: date, people: int) -> str: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from runner.config.model import (
    DEFAULT_TIMEOUT,
    AgentConfig,
    Announcement,
    Effect,
    OnInterrupt,
    ToolConfig,
)
from runner.errors import ToolError

# The attribute in which `tool` stores the traits of a function.
_TRAITS_ATTRIBUTE = "__vagent_tool__"

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as the model and the engine see it.

    `parameters` is a JSON Schema of type object; `timeout` is in seconds. `announce` is
    spoken while the tool runs; False turns announcements off.
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
    """Result of a tool call: JSON for the model; `detail` is for logs only."""

    text: str
    is_error: bool = False
    detail: str | None = None


class Tool(Protocol):
    """A tool; the registry validates the arguments before `run`."""

    @property
    def definition(self) -> ToolDefinition: ...

    def run(self, arguments: Mapping[str, Any]) -> object:
        """Runs one tool call; returns a value that JSON can express or raises an error.

        An `async def` runs on the event loop and is cancelled at its timeout. A plain
        `def` runs in a worker thread and may block.
        """
        ...


@runtime_checkable
class ClosableTool(Protocol):
    """A tool with resources to release, such as connections."""

    async def close(self) -> None:
        """Releases them; called once, when the registry is closed."""
        ...


class ToolKind(Protocol):
    """A kind of tools in agent files (entry-point group `vagent.tool_kinds`)."""

    @property
    def key(self) -> str: ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the settings; becomes part of the agent schema."""
        ...

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        """Returns the tool; raises `ToolError` if it cannot be built."""
        ...


@dataclass(frozen=True, slots=True)
class ToolTraits:
    """Settings of a tool in its own code; None means the default."""

    name: str | None = None
    description: str | None = None
    timeout: float | None = None
    effect: Effect | None = None
    on_interrupt: OnInterrupt | None = None
    announce: Announcement | None = None


def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    effect: Effect | None = None,
    on_interrupt: OnInterrupt | None = None,
    announce: Announcement | None = None,
) -> Callable[[F], F]:
    """Sets the traits of a tool function; `timeout` is in seconds."""
    traits = ToolTraits(name, description, timeout, effect, on_interrupt, announce)

    def mark(function: F) -> F:
        setattr(function, _TRAITS_ATTRIBUTE, traits)
        return function

    return mark


def declared_traits(function: Callable[..., object]) -> ToolTraits | None:
    """Returns the traits that `tool` set on a function, None without any."""
    marked = getattr(function, _TRAITS_ATTRIBUTE, None)
    if marked is None and isinstance(function, partial):
        return declared_traits(function.func)
    return marked if isinstance(marked, ToolTraits) else None


def define_tool(
    config: ToolConfig, parameters: Mapping[str, Any], traits: ToolTraits
) -> ToolDefinition:
    """Returns the definition from the agent file and the tool's traits; the file wins.

    By default, an interruption by the caller cancels a tool call, except a write: its
    effects must not stay incomplete.
    """
    name = config.name or traits.name
    if not name:
        raise ToolError(f"a tool of kind {config.kind!r} has no name")
    effect = config.effect or traits.effect or "read"
    given = (config.timeout, traits.timeout, DEFAULT_TIMEOUT)
    timeout = next(each for each in given if each is not None)
    by_effect: OnInterrupt = "finish" if effect == "write" else "cancel"
    return ToolDefinition(
        name=name,
        description=config.description or traits.description or "",
        parameters=parameters,
        timeout=timeout,
        effect=effect,
        on_interrupt=config.on_interrupt or traits.on_interrupt or by_effect,
        announce=traits.announce if config.announce is None else config.announce,
    )
