from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from runner.config.model import ToolConfig
from runner.errors import ToolError
from runner.tools.python import AsyncFunction, PlainFunction, load_function
from runner.tools.registry import ToolRegistry
from runner.tools.tool import ToolTraits, define_tool, tool


def config(**fields: Any) -> ToolConfig:
    return ToolConfig(kind="python", settings="t.py:f", **fields)


def greet(name: str = "you") -> str:
    """Say hello."""
    return f"hello {name}"


@tool(name="hang_up", effect="terminal", timeout=3, announce="Bye")
async def leave() -> None:
    """Leave."""


def test_a_plain_function_defines_its_tool() -> None:
    loaded = load_function(greet, config(), "greet")

    assert isinstance(loaded, PlainFunction)
    assert loaded.definition.name == "greet"
    assert loaded.definition.description == "Say hello."
    assert loaded.definition.effect == "read"
    assert loaded.run({"name": "Ada"}) == "hello Ada"


async def test_traits_of_the_decorator_are_used() -> None:
    loaded = load_function(leave, config(), "leave")

    assert isinstance(loaded, AsyncFunction)
    definition = loaded.definition
    assert (definition.name, definition.effect) == ("hang_up", "terminal")
    assert (definition.timeout, definition.announce) == (3, "Bye")


def test_the_agent_file_overrides_the_traits() -> None:
    said = config(
        name="bye", description="Go.", effect="read", timeout=7.0, announce="So long"
    )
    definition = load_function(leave, said, "leave").definition

    assert (definition.name, definition.description) == ("bye", "Go.")
    assert (definition.effect, definition.timeout) == ("read", 7.0)
    assert definition.announce == "So long"


def test_the_agent_file_can_turn_an_announcement_off() -> None:
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


def test_parameters_of_the_agent_file_replace_the_signature() -> None:
    parameters = {"type": "object", "properties": {"name": {"enum": ["Ada"]}}}

    loaded = load_function(greet, config(parameters=parameters), "greet")

    assert loaded.definition.parameters == parameters


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def in_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(function, *args, **kwargs)

    return wrapper


def bridged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(function(*args, **kwargs))

    return wrapper


def injecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a database, and say so by `__signature__`."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function("DB", *args, **kwargs)

    signature = inspect.signature(function)
    free = [each for name, each in signature.parameters.items() if name != "db"]
    wrapper.__signature__ = signature.replace(parameters=free)  # type: ignore[attr-defined]  # read by inspect
    return wrapper


def giving(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a database, and say nothing."""

    @functools.wraps(function)
    def wrapper(**kwargs: Any) -> Any:
        return function("DB", **kwargs)

    return wrapper


async def later(city: str) -> str:
    return city


def now(city: str) -> str:
    return city


def with_db(db, city: str) -> str:  # type: ignore[no-untyped-def]  # not for a model
    return f"{city} in {db}"


class Finder:
    """Find a city."""

    def __init__(self) -> None:
        self.db = "DB"

    def __call__(self, city: str) -> str:
        return with_db(self.db, city)

    def find(self, city: str) -> str:
        """Find it."""
        return with_db(self.db, city)

    async def find_later(self, city: str) -> str:
        return with_db(self.db, city)


CALLABLES: list[tuple[Callable[..., Any], str]] = [
    (wrapped(now), "Oslo"),
    (wrapped(later), "Oslo"),
    (in_thread(now), "Oslo"),
    (bridged(later), "Oslo"),
    (injecting(with_db), "Oslo in DB"),
    (functools.partial(with_db, "DB"), "Oslo in DB"),
    (functools.partial(with_db, db="DB"), "Oslo in DB"),
    (wrapped(functools.partial(with_db, "DB")), "Oslo in DB"),
    (functools.partial(wrapped(with_db), "DB"), "Oslo in DB"),
    (functools.partial(later), "Oslo"),
    (functools.lru_cache(now), "Oslo"),
    (Finder(), "Oslo in DB"),
    (Finder().find, "Oslo in DB"),
    (Finder().find_later, "Oslo in DB"),
    (wrapped(Finder()), "Oslo in DB"),
]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


@pytest.mark.parametrize(("function", "expected"), CALLABLES)
async def test_any_callable_is_a_tool(
    function: Callable[..., Any], expected: str
) -> None:
    loaded = load_function(function, config(), "find")
    registry = ToolRegistry([loaded])

    outcome = await registry.run("find", {"city": "Oslo"})
    await registry.close()

    assert loaded.definition.parameters == CITY
    assert json.loads(outcome.text) == expected


async def test_a_decorator_may_take_fewer_parameters_than_its_function() -> None:
    parameters = config(parameters=CITY)
    registry = ToolRegistry([load_function(giving(with_db), parameters, "find")])

    outcome = await registry.run("find", {"city": "Oslo"})
    await registry.close()

    assert json.loads(outcome.text) == "Oslo in DB"


async def test_an_awaitable_result_is_awaited_within_the_timeout() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    loaded = load_function(wrapped(hang), config(timeout=0.05), "hang")
    registry = ToolRegistry([loaded])

    outcome = await registry.run("hang", {})
    await registry.close()

    assert "did not answer within" in outcome.text


def test_a_partial_is_described_by_its_function() -> None:
    loaded = load_function(functools.partial(leave), config(), "x")

    assert loaded.definition.description == "Leave."
    assert loaded.definition.effect == "terminal"


@pytest.mark.parametrize(
    ("function", "description"),
    [(Finder(), "Find a city."), (Finder().find, "Find it.")],
)
def test_an_object_is_described_by_its_docstring(
    function: Callable[..., Any], description: str
) -> None:
    assert load_function(function, config(), "x").definition.description == description


def test_a_decorator_can_turn_a_generator_into_a_tool() -> None:
    def count(n: int) -> Iterator[int]:
        yield from range(n)

    @functools.wraps(count)
    def counted(n: int) -> list[int]:
        return list(count(n))

    loaded = load_function(counted, config(), "count")

    assert isinstance(loaded, PlainFunction)
    assert loaded.run({"n": 2}) == [0, 1]


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
