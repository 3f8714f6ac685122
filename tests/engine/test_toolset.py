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


class Subject:
    """A toolset with tools of editions 1, 2, ... and a service that follows changes."""

    def __init__(self, editions: int = 2) -> None:
        self.tools = [Look(str(number)) for number in range(1, editions + 1)]
        self.versions: list[ToolsetVersion] = [
            build_toolset(ToolRegistry([tool])) for tool in self.tools
        ]
        self.followed: Rules = self.versions[0].rules
        self.notices: list[str] = []
        self.toolset = LiveToolset(
            self.versions[0], lambda: self.followed, self.notices.append
        )

    def call(self, call_id: str) -> asyncio.Task[str]:
        """Begin a call as the engine does."""
        call = ToolCall(call_id, "look", {})
        self.toolset.observe(0.0, RunTool(call))

        async def run() -> str:
            return (await self.toolset.run(call)).text

        return asyncio.create_task(run())

    def adopt(self, number: int) -> None:
        self.followed = self.versions[number].rules
        self.toolset.observe(0.0, ConfigApplied())


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
    subject = Subject()
    first, second = subject.tools
    running = subject.call("a")
    await first.began.wait()
    subject.toolset.offer(subject.versions[1])
    subject.adopt(1)
    assert not first.closed.is_set()
    after = subject.call("b")
    first.may_end.set()
    second.may_end.set()

    assert (await running, await after) == ('"1"', '"2"')
    await closed(first)
    assert not second.closed.is_set()
    await subject.toolset.close()
    assert second.closed.is_set()


async def test_offered_tools_wait_for_the_service_to_follow() -> None:
    subject = Subject()
    subject.tools[0].may_end.set()
    subject.toolset.offer(subject.versions[1])

    assert await subject.call("a") == '"1"'
    await subject.toolset.close()


async def test_a_call_that_has_not_started_when_the_tools_change_keeps_its_own() -> (
    None
):
    subject = Subject()
    waiting = subject.call("a")
    subject.toolset.offer(subject.versions[1])
    subject.adopt(1)
    subject.tools[0].may_end.set()

    assert await waiting == '"1"'
    await closed(subject.tools[0])
    await subject.toolset.close()


async def test_a_call_that_is_cancelled_before_it_starts_holds_nothing_open() -> None:
    subject = Subject()
    subject.toolset.observe(0.0, RunTool(ToolCall("a", "look", {})))
    subject.toolset.offer(subject.versions[1])
    subject.adopt(1)
    subject.toolset.observe(0.0, CancelTool("a"))

    await closed(subject.tools[0])
    await subject.toolset.close()


async def test_a_call_that_is_cancelled_while_it_runs_holds_its_tools_to_its_end() -> (
    None
):
    subject = Subject()
    running = subject.call("a")
    await subject.tools[0].began.wait()
    subject.toolset.offer(subject.versions[1])
    subject.adopt(1)
    subject.toolset.observe(0.0, CancelTool("a"))
    subject.tools[1].may_end.set()
    assert await subject.call("b") == '"2"'
    assert not subject.tools[0].closed.is_set()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await closed(subject.tools[0])
    await subject.toolset.close()


async def test_tools_that_were_refused_are_closed_when_later_ones_are_followed() -> (
    None
):
    subject = Subject(3)
    subject.toolset.offer(subject.versions[1])
    subject.toolset.offer(subject.versions[2])
    subject.adopt(2)
    subject.tools[2].may_end.set()

    assert await subject.call("a") == '"3"'
    await closed(subject.tools[0])
    await closed(subject.tools[1])
    await subject.toolset.close()


async def test_a_change_of_something_else_leaves_the_tools_alone() -> None:
    subject = Subject()
    subject.toolset.offer(subject.versions[1])
    subject.adopt(0)
    subject.tools[0].may_end.set()

    assert await subject.call("a") == '"1"'
    assert not subject.tools[0].closed.is_set()
    await subject.toolset.close()


async def test_what_went_wrong_in_a_tool_is_reported() -> None:
    subject = Subject()
    call = ToolCall("a", "look", {"far": 1})
    subject.toolset.observe(0.0, RunTool(call))

    outcome = await subject.toolset.run(ToolCall("a", "look", [1]))  # type: ignore[arg-type]  # as a service might

    assert outcome.is_error
    assert subject.notices[0].startswith("look: arguments refused")
    await subject.toolset.close()


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
    toolset = LiveToolset(first, lambda: followed[-1], print)
    call = ToolCall("a", "look", {})
    toolset.observe(0.0, RunTool(call))

    assert (await toolset.run(call)).is_error
    assert toolset.hung == 1
    toolset.offer(second)
    followed.append(second.rules)
    toolset.observe(0.0, ConfigApplied())
    await toolset.close()
    assert toolset.hung == 1
    stuck.let_go.set()
