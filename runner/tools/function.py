"""Python functions, plain and async, as tools.

`tool` marks how calls of a function are treated; the agent file has the last word:

    @tool(effect="write", timeout=10)
    async def book_table(day: date, people: int) -> str: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from runner.config.model import (
    DEFAULT_TIMEOUT,
    Announcement,
    Effect,
    OnInterrupt,
    ToolConfig,
)
from runner.errors import ToolError
from runner.tools.signature import Signature, read_signature
from runner.tools.tool import Tool, ToolDefinition

_MARK = "__vagent_tool__"

F = TypeVar("F", bound=Callable[..., object])


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


@dataclass(frozen=True, slots=True)
class PlainFunction:
    """A plain function; the registry gives it a worker thread."""

    definition: ToolDefinition
    function: Callable[..., object]
    signature: Signature

    def run(self, arguments: Mapping[str, Any]) -> object:
        return self.function(**self.signature.bind(arguments))


@dataclass(frozen=True, slots=True)
class AsyncFunction:
    """A coroutine function; it runs on the event loop."""

    definition: ToolDefinition
    function: Callable[..., Any]
    signature: Signature

    async def run(self, arguments: Mapping[str, Any]) -> object:
        return await self.function(**self.signature.bind(arguments))


def load_function(
    function: Callable[..., object], config: ToolConfig, name: str
) -> Tool:
    """Make a tool of a function; raise `ToolError` when it cannot be called as told.

    `name` is how the person refers to the function, and the tool's name unless the
    file or a mark gives another.
    """
    traits = marked_traits(function) or ToolTraits()
    signature = read_signature(function, name)
    if config.parameters is None:
        parameters: Mapping[str, Any] = signature.schema()
    else:
        parameters = config.parameters
        signature.check(parameters)
    own = ToolTraits(
        name=traits.name or name,
        description=traits.description or signature.docstring.description,
        timeout=traits.timeout,
        effect=traits.effect,
        on_interrupt=traits.on_interrupt,
        announce=traits.announce,
    )
    definition = define_tool(config, parameters, own)
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise ToolError(f"{name}() yields; a tool returns one value")
    if _is_async(function):
        return AsyncFunction(definition, function, signature)
    return PlainFunction(definition, function, signature)


def _is_async(function: Callable[..., object]) -> bool:
    unwrapped = inspect.unwrap(function)
    return inspect.iscoroutinefunction(unwrapped) or inspect.iscoroutinefunction(
        getattr(unwrapped, "__call__", None)  # noqa: B004 - asks what kind it is
    )
