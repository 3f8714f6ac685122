from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.config.model import AgentConfig, ToolConfig
from runner.errors import ToolError
from runner.tools.execution import SplitStdout
from runner.tools.plugins import installed_kinds
from runner.tools.python import load_function
from runner.tools.registry import ToolRegistry, load_tools, wire_definition
from runner.tools.tool import Tool, ToolDefinition, ToolOutcome

SECRET = "k3y-of-the-shop"


def made_of(function: Callable[..., object], **fields: Any) -> Tool:
    config = ToolConfig(kind="python", settings="", **fields)
    return load_function(function, config, function.__name__)


@dataclass
class Registries:
    """Builds registries and closes them when the test is over."""

    built: list[ToolRegistry] = field(default_factory=list)

    def __call__(self, *tools: Tool, **options: Any) -> ToolRegistry:
        registry = ToolRegistry(tools, secrets=frozenset((SECRET, "a")), **options)
        self.built.append(registry)
        return registry


@pytest.fixture
async def registry_of() -> AsyncIterator[Registries]:
    registries = Registries()
    yield registries
    for registry in registries.built:
        await registry.close()


async def until_one_hangs(registry: ToolRegistry) -> ToolOutcome:
    """Call `hang` until a call gets a thread before its timeout (busy machine)."""
    outcome = await registry.run("hang", {})
    while not registry.hung:
        outcome = await registry.run("hang", {})
    return outcome


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


def error_of(outcome: ToolOutcome) -> str:
    """Return the error text of a failed call; fails if the call did not fail."""
    assert outcome.is_error
    text: str = json.loads(outcome.text)["error"]
    assert "\n" not in text
    assert len(text) <= 300
    assert SECRET not in f"{outcome.text}{outcome.detail}"
    return text


def double(number: int) -> dict[str, int]:
    """Double a number."""
    return {"doubled": 2 * number}


async def triple(number: int) -> dict[str, int]:
    """Triple a number."""
    await asyncio.sleep(0)
    return {"tripled": 3 * number}


@pytest.mark.parametrize(
    ("function", "text"), [(double, '{"doubled":42}'), (triple, '{"tripled":63}')]
)
async def test_a_tool_call_returns_json_text(
    registry_of: Registries, function: Any, text: str
) -> None:
    registry = registry_of(made_of(function))

    assert await registry.run(function.__name__, {"number": 21}) == ToolOutcome(text)


async def test_the_error_of_an_unknown_tool_names_the_known_ones(
    registry_of: Registries,
) -> None:
    registry = registry_of(made_of(double), made_of(triple))

    assert error_of(await registry.run("quadruple", {})) == (
        "there is no tool 'quadruple'; the tools are: double, triple"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "number is missing"),
        ({"number": "x"}, 'number must be a whole number, not "x"'),
        (None, "the arguments must be an object, not null"),
    ],
)
async def test_bad_arguments_never_reach_the_tool(
    registry_of: Registries, arguments: object, text: str
) -> None:
    assert error_of(await registry_of(made_of(double)).run("double", arguments)) == text


async def test_a_hung_function_times_out_and_the_next_call_works(
    registry_of: Registries, gate: threading.Event
) -> None:
    def hang() -> None:
        gate.wait()

    registry = registry_of(made_of(hang, timeout=0.05), made_of(double), workers=1)

    outcome = await until_one_hangs(registry)
    assert error_of(outcome) == "hang did not answer within 0.05 s"
    assert not (await registry.run("double", {"number": 1})).is_error


async def test_a_hung_coroutine_times_out(registry_of: Registries) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    registry = registry_of(made_of(hang, timeout=0.05))

    assert (
        error_of(await registry.run("hang", {})) == "hang did not answer within 0.05 s"
    )
    assert registry.hung == 0


async def test_with_too_many_hung_tools_a_call_fails_at_once(
    registry_of: Registries, gate: threading.Event
) -> None:
    def hang() -> None:
        gate.wait()

    registry = registry_of(made_of(hang, timeout=0.01), made_of(double), workers=2)
    while registry.hung < 32:
        await registry.run("hang", {})

    assert error_of(await registry.run("double", {"number": 1})) == (
        "double is not available at the moment"
    )


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("we are closed"), "fail failed: we are closed"),
        (ValueError(f"bad key {SECRET}"), "fail failed: bad key ***"),
        (SystemExit(1), "fail failed: it tried to end the program"),
        (KeyboardInterrupt(), "fail failed: it tried to end the program"),
        (MemoryError(), "fail failed: MemoryError"),
        (OSError(2, "No such file", "/etc/x"), "fail failed: No such file"),
    ],
)
async def test_an_exception_of_a_tool_is_a_one_line_error(
    registry_of: Registries, kind: str, error: BaseException, text: str
) -> None:
    def fail() -> None:
        raise error

    async def async_fail() -> None:
        raise error

    function = fail if kind == "plain" else async_fail
    registry = registry_of(made_of(function, name="fail"))

    assert error_of(await registry.run("fail", {})) == text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (object(), "give failed: the result holds a object, which is not data"),
        (b"\xff", "give failed: the result holds bytes that are not text"),
        ("x" * 10_000_000, "give failed: the result is longer than 64 KiB"),
    ],
    ids=["object", "bytes", "10 MB"],
)
async def test_a_result_without_json_is_a_one_line_error(
    registry_of: Registries, result: object, text: str
) -> None:
    def give() -> object:
        return result

    assert error_of(await registry_of(made_of(give)).run("give", {})) == text


async def test_output_of_a_tool_goes_to_stderr(
    registry_of: Registries, capsys: pytest.CaptureFixture[str]
) -> None:
    def chat() -> None:
        sys.stdout.write("plain\n")

    async def async_chat() -> None:
        sys.stdout.write("async\n")

    registry = registry_of(made_of(chat), made_of(async_chat))
    await registry.run("chat", {})
    await registry.run("async_chat", {})
    sys.stdout.write("data\n")
    await registry.close()

    assert capsys.readouterr() == ("data\n", "plain\nasync\n")
    assert not isinstance(sys.stdout, SplitStdout)


async def test_ten_calls_run_concurrently(registry_of: Registries) -> None:
    plain, met = threading.Barrier(5), asyncio.Barrier(5)

    def meet(number: int) -> int:
        plain.wait()
        return number

    async def async_meet(number: int) -> int:
        await met.wait()
        return number

    registry = registry_of(made_of(meet), made_of(async_meet))
    names = ["meet", "async_meet"] * 5
    outcomes = await asyncio.gather(
        *(registry.run(name, {"number": n}) for n, name in enumerate(names))
    )

    assert [outcome.text for outcome in outcomes] == [str(n) for n in range(10)]


async def test_a_secret_in_a_result_is_redacted_and_a_short_value_is_not(
    registry_of: Registries,
) -> None:
    def echo() -> list[str]:
        return [f"Bearer {SECRET}", "banana"]

    outcome = await registry_of(made_of(echo)).run("echo", {})

    assert outcome.text == '["Bearer ***","banana"]'


@pytest.mark.parametrize("place", [20, 50, 55, 58])
async def test_a_secret_in_refused_arguments_is_redacted_before_it_is_cut(
    registry_of: Registries, place: int
) -> None:
    def add(number: int) -> int:
        return number

    registry = registry_of(made_of(add))
    text = "x" * place + SECRET
    for name, arguments in (
        ("add", {"number": text}),
        ("add", {"number": 1, text: 2}),
        (text, {}),
    ):
        outcome = await registry.run(name, arguments)
        assert outcome.is_error
        for size in (4, 8, len(SECRET)):
            assert SECRET[:size] not in outcome.text + (outcome.detail or "")


async def test_a_cancelled_call_raises_and_frees_its_thread(
    registry_of: Registries, gate: threading.Event
) -> None:
    started = threading.Event()

    def hang() -> None:
        started.set()
        gate.wait()

    registry = registry_of(made_of(hang), made_of(double), workers=1)
    task = asyncio.create_task(registry.run("hang", {}))
    await asyncio.sleep(0)  # let it start
    await asyncio.to_thread(started.wait)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert registry.hung == 1
    assert not (await registry.run("double", {"number": 1})).is_error


async def test_output_of_a_hung_function_after_closing_goes_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gate, done = threading.Event(), threading.Event()

    def hang() -> None:
        gate.wait()
        sys.stdout.write("late\n")
        done.set()

    registry = ToolRegistry([made_of(hang, timeout=0.05)])
    await until_one_hangs(registry)
    await registry.close()
    gate.set()
    await asyncio.to_thread(done.wait)

    assert capsys.readouterr() == ("", "late\n")


@dataclass
class Closing:
    definition: ToolDefinition
    closed: int = 0

    async def run(self, arguments: Mapping[str, Any]) -> object:
        return dict(arguments)

    async def close(self) -> None:
        self.closed += 1
        raise OSError("gone")


async def test_every_tool_is_closed_despite_errors() -> None:
    tools = [Closing(ToolDefinition(name, "", {})) for name in ("a", "b")]
    registry = ToolRegistry(tools)

    await registry.close()

    assert [tool.closed for tool in tools] == [1, 1]


@pytest.mark.parametrize("name", ["", "look up", "1st", "größe", "x" * 65])
def test_a_name_that_services_reject_is_refused(name: str) -> None:
    with pytest.raises(ToolError, match="invalid tool name"):
        ToolRegistry([Closing(ToolDefinition(name, "", {}))])


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ToolError, match="two tools are named 'double'"):
        ToolRegistry([made_of(double), made_of(double)])


def test_the_wire_gets_flat_definitions() -> None:
    registry = ToolRegistry([made_of(double, timeout=8.0)])

    assert registry.wire_definitions() == [
        {
            "type": "function",
            "name": "double",
            "description": "Double a number.",
            "parameters": {
                "type": "object",
                "properties": {"number": {"type": "integer"}},
                "required": ["number"],
            },
            "timeout_seconds": 13.0,
        }
    ]


@pytest.mark.parametrize(("timeout", "sent"), [(0.1, 5.1), (1, 6), (299, 300)])
def test_the_wire_timeout_is_in_its_range(timeout: float, sent: float) -> None:
    definition = ToolDefinition("x", "", {}, timeout=timeout)

    assert wire_definition(definition)["timeout_seconds"] == sent


def agent_with(folder: Path, tools: Sequence[ToolConfig]) -> AgentConfig:
    return AgentConfig(
        path=folder / "agent.yaml",
        version=1,
        name="x",
        prompt="x",
        tools=tuple(tools),
        secrets=frozenset((SECRET,)),
    )


async def test_an_agent_gets_its_tools(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text("def add(a: int, b: int = 1) -> int: return a + b")
    agent = agent_with(
        tmp_path,
        [
            ToolConfig(kind="python", settings="t.py:add"),
            ToolConfig(kind="plugin", settings="end_call"),
        ],
    )

    registry = load_tools(agent, installed_kinds())

    assert [each.name for each in registry.definitions()] == ["add", "end_call"]
    assert (await registry.run("add", {"a": 2})).text == "3"
    tool = registry.get("end_call")
    assert tool is not None
    assert tool.definition.effect == "terminal"
    assert registry.get("other") is None
    await registry.close()


def test_all_tools_that_cannot_be_loaded_are_named_at_once(tmp_path: Path) -> None:
    agent = agent_with(
        tmp_path,
        [
            ToolConfig(kind="python", settings="no.py:f", name="first"),
            ToolConfig(kind="plugin", settings="nothing_such"),
            ToolConfig(kind="carrier_pigeon", settings={}, name="third"),
            ToolConfig(kind="plugin", settings="end_call"),
        ],
    )

    with pytest.raises(ToolError) as refused:
        load_tools(agent, installed_kinds())

    text = str(refused.value)
    assert text.startswith("3 tools cannot be loaded:")
    for word in ("tool first: there is no file", "tool number 2: no plugin", "pigeon"):
        assert word in text
