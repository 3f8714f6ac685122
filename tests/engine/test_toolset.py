"""Which tools a call runs with while they change, and when old ones are closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping

import pytest

from runner.config.model import Announcement
from runner.engine.toolset import LiveToolset, Rules, ToolsetVersion, build_toolset
from runner.protocol.client.actions import CancelTool, ConfigApplied, RunTool
from runner.protocol.messages import ToolCall
from runner.tools.registry import ToolRegistry
from runner.tools.tool import ToolDefinition


class Look:
    """A tool that says which edition it is, once it may."""

    def __init__(self, edition: str, announce: Announcement | None = None) -> None:
        self.definition = ToolDefinition(
            "look", "Looks.", {"type": "object"}, announce=announce
        )
        self.edition = edition
        self.may_end = asyncio.Event()
        self.began = asyncio.Event()
        self.closed = asyncio.Event()

    async def run(self, arguments: Mapping[str, object]) -> str:
        assert not self.closed.is_set(), "a call runs with tools that are closed"
        self.began.set()
        await self.may_end.wait()
        return self.edition

    async def close(self) -> None:
        self.closed.set()


class Bench:
    """A belt with tools of editions 1, 2, ... and a service that follows changes."""

    def __init__(self, editions: int = 2) -> None:
        self.tools = [Look(str(number)) for number in range(1, editions + 1)]
        self.versions: list[ToolsetVersion] = [
            build_toolset(ToolRegistry([tool])) for tool in self.tools
        ]
        self.followed: Rules = self.versions[0].rules
        self.notices: list[str] = []
        self.belt = LiveToolset(
            self.versions[0], lambda: self.followed, self.notices.append
        )

    def call(self, call_id: str) -> asyncio.Task[str]:
        """Begin a call as the engine does."""
        call = ToolCall(call_id, "look", {})
        self.belt.observe(0.0, RunTool(call))

        async def run() -> str:
            return (await self.belt.run(call)).text

        return asyncio.create_task(run())

    def adopt(self, number: int) -> None:
        self.followed = self.versions[number].rules
        self.belt.observe(0.0, ConfigApplied())


@pytest.mark.parametrize(
    ("announce", "rule"), [("Wait.", "Wait."), (False, None), (None, None)]
)
def test_what_a_tool_announces_is_a_rule_of_its_calls(
    announce: Announcement | None, rule: str | None
) -> None:
    rules = build_toolset(ToolRegistry([Look("1", announce)])).rules

    assert rules["look"].announce == rule


async def closed(tool: Look) -> None:
    async with asyncio.timeout(5):
        await tool.closed.wait()


async def test_a_call_that_has_begun_keeps_its_tools_and_the_next_one_has_the_new() -> (
    None
):
    bench = Bench()
    first, second = bench.tools
    running = bench.call("a")
    await first.began.wait()
    bench.belt.offer(bench.versions[1])
    bench.adopt(1)
    assert not first.closed.is_set()
    after = bench.call("b")
    first.may_end.set()
    second.may_end.set()

    assert (await running, await after) == ('"1"', '"2"')
    await closed(first)
    assert not second.closed.is_set()
    await bench.belt.close()
    assert second.closed.is_set()


async def test_offered_tools_wait_for_the_service_to_follow() -> None:
    bench = Bench()
    bench.tools[0].may_end.set()
    bench.belt.offer(bench.versions[1])

    assert await bench.call("a") == '"1"'
    await bench.belt.close()


async def test_a_call_that_has_not_started_when_the_tools_change_keeps_its_own() -> (
    None
):
    bench = Bench()
    waiting = bench.call("a")
    bench.belt.offer(bench.versions[1])
    bench.adopt(1)
    bench.tools[0].may_end.set()

    assert await waiting == '"1"'
    await closed(bench.tools[0])
    await bench.belt.close()


async def test_a_call_that_is_cancelled_before_it_starts_holds_nothing_open() -> None:
    bench = Bench()
    bench.belt.observe(0.0, RunTool(ToolCall("a", "look", {})))
    bench.belt.offer(bench.versions[1])
    bench.adopt(1)
    bench.belt.observe(0.0, CancelTool("a"))

    await closed(bench.tools[0])
    await bench.belt.close()


async def test_a_call_that_is_cancelled_while_it_runs_holds_its_tools_to_its_end() -> (
    None
):
    bench = Bench()
    running = bench.call("a")
    await bench.tools[0].began.wait()
    bench.belt.offer(bench.versions[1])
    bench.adopt(1)
    bench.belt.observe(0.0, CancelTool("a"))
    bench.tools[1].may_end.set()
    assert await bench.call("b") == '"2"'
    assert not bench.tools[0].closed.is_set()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await closed(bench.tools[0])
    await bench.belt.close()


async def test_tools_that_were_refused_are_closed_when_later_ones_are_followed() -> (
    None
):
    bench = Bench(3)
    bench.belt.offer(bench.versions[1])
    bench.belt.offer(bench.versions[2])
    bench.adopt(2)
    bench.tools[2].may_end.set()

    assert await bench.call("a") == '"3"'
    await closed(bench.tools[0])
    await closed(bench.tools[1])
    await bench.belt.close()


async def test_a_change_of_something_else_leaves_the_tools_alone() -> None:
    bench = Bench()
    bench.belt.offer(bench.versions[1])
    bench.adopt(0)
    bench.tools[0].may_end.set()

    assert await bench.call("a") == '"1"'
    assert not bench.tools[0].closed.is_set()
    await bench.belt.close()


async def test_what_went_wrong_in_a_tool_is_reported() -> None:
    bench = Bench()
    call = ToolCall("a", "look", {"far": 1})
    bench.belt.observe(0.0, RunTool(call))

    outcome = await bench.belt.run(ToolCall("a", "look", [1]))  # type: ignore[arg-type]  # as a service might

    assert outcome.is_error
    assert bench.notices[0].startswith("look: arguments refused")
    await bench.belt.close()


class Stuck:
    """A plain tool that does not come back before it is let go."""

    definition = ToolDefinition("look", "Looks.", {"type": "object"}, timeout=0.01)

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def run(self, arguments: Mapping[str, object]) -> int:
        self.let_go.wait(30)
        return 1


async def test_a_thread_that_hangs_is_counted_after_its_tools_are_closed_too() -> None:
    stuck = Stuck()
    first, second = (
        build_toolset(ToolRegistry([stuck])),
        build_toolset(ToolRegistry([Look("2")])),
    )
    followed = [first.rules]
    belt = LiveToolset(first, lambda: followed[-1], print)
    call = ToolCall("a", "look", {})
    belt.observe(0.0, RunTool(call))

    assert (await belt.run(call)).is_error
    assert belt.hung == 1
    belt.offer(second)
    followed.append(second.rules)
    belt.observe(0.0, ConfigApplied())
    await belt.close()
    assert belt.hung == 1
    stuck.let_go.set()
