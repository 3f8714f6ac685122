"""The tool calls that run beside a session, a task each; the engine starts them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from runner.protocol.client.events import Event, ToolFinished
from runner.protocol.messages import ToolCall

# How long cancelled calls may take to clean up.
TOOL_CLEANUP_SECONDS = 2.0
# Calls beyond this many wait for one to end; a model that asks for more at once is
# rare, and a tool's far end may not bear it.
CALLS_AT_ONCE = 8


class ToolOutcome(Protocol):
    """What a tool call came to, as JSON text."""

    @property
    def text(self) -> str: ...

    @property
    def is_error(self) -> bool: ...


RunToolCall: TypeAlias = Callable[[ToolCall], Awaitable[ToolOutcome]]


class ToolTasks:
    """The calls that are running, a task each, so many of them at once."""

    def __init__(self, run_tool: RunToolCall, post: Callable[[Event], None]) -> None:
        self._run_tool = run_tool
        self._post = post
        self._running: dict[str, asyncio.Task[None]] = {}
        self._turnstile = asyncio.Semaphore(CALLS_AT_ONCE)

    def start(self, call: ToolCall) -> None:
        """Run a call; its end is posted as `ToolFinished`."""
        task = asyncio.create_task(self._run(call))
        self._running[call.call_id] = task
        task.add_done_callback(lambda _: self._running.pop(call.call_id, None))

    def cancel(self, call_id: str) -> None:
        """Stop a call; nothing is posted for it."""
        task = self._running.get(call_id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop every call and wait a moment for them to clean up."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=TOOL_CLEANUP_SECONDS)

    async def _run(self, call: ToolCall) -> None:
        async with self._turnstile:
            outcome = await self._run_tool(call)
        self._post(ToolFinished(call.call_id, outcome.text, outcome.is_error))
