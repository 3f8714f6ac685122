from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from runner.config.model import ToolConfig
from runner.errors import ToolError
from runner.tools.function import (
    AsyncFunction,
    PlainFunction,
    ToolTraits,
    define_tool,
    load_function,
    tool,
)


def config(**fields: Any) -> ToolConfig:
    return ToolConfig(kind="python", settings="t.py:f", **fields)


def greet(name: str = "you") -> str:
    """Say hello."""
    return f"hello {name}"


@tool(name="hang_up", effect="terminal", timeout=3, announce="Bye")
async def leave() -> None:
    """Leave."""


def test_a_plain_function_is_described_by_itself() -> None:
    loaded = load_function(greet, config(), "greet")

    assert isinstance(loaded, PlainFunction)
    assert loaded.definition.name == "greet"
    assert loaded.definition.description == "Say hello."
    assert loaded.definition.effect == "read"
    assert loaded.run({"name": "Ada"}) == "hello Ada"


async def test_marks_are_taken_over() -> None:
    loaded = load_function(leave, config(), "leave")

    assert isinstance(loaded, AsyncFunction)
    definition = loaded.definition
    assert (definition.name, definition.effect) == ("hang_up", "terminal")
    assert (definition.timeout, definition.announce) == (3, "Bye")


def test_the_file_has_the_last_word() -> None:
    said = config(
        name="bye", description="Go.", effect="read", timeout=7.0, announce="So long"
    )
    definition = load_function(leave, said, "leave").definition

    assert (definition.name, definition.description) == ("bye", "Go.")
    assert (definition.effect, definition.timeout) == ("read", 7.0)
    assert definition.announce == "So long"


def test_the_file_can_silence_what_a_mark_announces() -> None:
    definition = load_function(leave, config(announce=False), "leave").definition

    assert definition.announce is False


@pytest.mark.parametrize(
    ("effect", "expected"),
    [("read", "cancel"), ("write", "finish"), ("terminal", "cancel")],
)
def test_only_a_write_finishes_when_the_caller_interrupts(
    effect: Any, expected: str
) -> None:
    definition = define_tool(config(name="x", effect=effect), {}, ToolTraits())

    assert definition.on_interrupt == expected


def test_a_tool_without_a_name_is_refused() -> None:
    with pytest.raises(ToolError, match="has no name"):
        define_tool(config(), {}, ToolTraits())


def test_parameters_of_the_file_replace_the_signature() -> None:
    parameters = {"type": "object", "properties": {"name": {"enum": ["Ada"]}}}

    loaded = load_function(greet, config(parameters=parameters), "greet")

    assert loaded.definition.parameters == parameters


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def test_a_decorated_coroutine_function_is_async() -> None:
    assert isinstance(load_function(wrapped(leave), config(), "x"), AsyncFunction)


class Callable_:
    async def __call__(self, name: str) -> str:
        return name


async def test_a_callable_object_is_a_tool() -> None:
    loaded = load_function(Callable_(), config(), "x")

    assert isinstance(loaded, AsyncFunction)
    assert await loaded.run({"name": "Ada"}) == "Ada"


async def stream() -> AsyncIterator[int]:
    yield 1


def test_a_generator_is_refused() -> None:
    with pytest.raises(ToolError, match="yields"):
        load_function(stream, config(), "stream")
