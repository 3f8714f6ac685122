"""The seam between an agent's tools and the registry that runs them.

`tool` marks how calls of a function are treated; the agent file has the last word:

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

# Where `tool` notes what it marks a function with.
_MARK = "__vagent_tool__"

F = TypeVar("F", bound=Callable[..., object])


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


@dataclass(frozen=True, slots=True)
class ToolTraits:
    """What a function says about itself; None leaves it to the file or the default."""

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
    """Mark a function with how its calls are treated; `timeout` is in seconds."""
    traits = ToolTraits(name, description, timeout, effect, on_interrupt, announce)

    def mark(function: F) -> F:
        setattr(function, _MARK, traits)
        return function

    return mark


def marked_traits(function: Callable[..., object]) -> ToolTraits | None:
    """Return what `tool` marked a function with, None for one without a mark."""
    marked = getattr(function, _MARK, None)
    if marked is None and isinstance(function, partial):
        return marked_traits(function.func)
    return marked if isinstance(marked, ToolTraits) else None


def define_tool(
    config: ToolConfig, parameters: Mapping[str, Any], traits: ToolTraits
) -> ToolDefinition:
    """Join what the agent file says with what the tool says of itself; the file wins.

    Without a word from either, a write finishes when the caller interrupts, since what
    was begun in the world is not left half done; anything else is cancelled.
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
