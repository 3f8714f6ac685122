"""Runs the calls of one session's tools; whatever happens, an outcome comes back.

Here, and nowhere else, a tool's own code is guarded: arguments are checked before it,
it runs under a timeout, and what it returns or raises becomes short text.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from runner.config.model import AgentConfig
from runner.errors import ToolError
from runner.redaction import Redactor
from runner.tools.arguments import ArgumentCheck, ArgumentsRefused, build_parameters
from runner.tools.execution import (
    Ended,
    Failed,
    Finished,
    SplitStdout,
    TooManyHung,
    Workers,
    call_async,
    call_plain,
    close_bounded,
    split_stdout,
)
from runner.tools.results import describe_failure, encode_result, failure
from runner.tools.tool import (
    ClosableTool,
    Tool,
    ToolDefinition,
    ToolKind,
    ToolOutcome,
)

_log = logging.getLogger("vagent.tools")

# A model's context is small, and nobody listens to more: about 16,000 words.
RESULT_LIMIT = 64 * 1024

# What services and language models accept as the name of a function.
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")

# Our own answer to a call that takes too long should come before the service gives up
# on it, so the service is told a little more; it takes 1 to 300 seconds.
_WIRE_MARGIN = 5.0
_WIRE_TIMEOUTS = (1.0, 300.0)


@dataclass(frozen=True, slots=True)
class _Entry:
    tool: Tool
    check: ArgumentCheck
    is_async: bool


class ToolRegistry:
    """The tools of one agent; the engine calls `run`, once for each call.

    Not bound to an event loop before the first `run`. `secrets` are redacted, by value,
    in everything that leaves it.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        *,
        secrets: frozenset[str] = frozenset(),
        workers: int = 8,
        result_limit: int = RESULT_LIMIT,
    ) -> None:
        """Raise `ToolError` for two tools of one name or an unusable schema."""
        self._entries: dict[str, _Entry] = {}
        for tool in tools:
            definition = tool.definition
            if not _NAME.fullmatch(definition.name):
                raise ToolError(
                    f"{definition.name!r} cannot be the name of a tool",
                    hint="letters, digits and _, at most 64, no digit first",
                )
            if definition.name in self._entries:
                raise ToolError(f"two tools are named {definition.name!r}")
            self._entries[definition.name] = _Entry(
                tool,
                ArgumentCheck(definition.name, definition.parameters),
                inspect.iscoroutinefunction(tool.run),
            )
        self._redact = Redactor(secrets).text
        self._workers = Workers(workers)
        self._encode = partial(
            encode_result,
            limit=result_limit,
            redact=self._redact,
        )
        self._stdout: SplitStdout | None = None  # ours while calls may print

    @property
    def hung(self) -> int:
        """How many plain functions were given up and still run."""
        return self._workers.hung

    def definitions(self) -> list[ToolDefinition]:
        """Return what the model sees, in the order of the agent file."""
        return [entry.tool.definition for entry in self._entries.values()]

    def wire_definitions(self) -> list[dict[str, Any]]:
        """Return the tools as `session.update` carries them."""
        return [wire_definition(definition) for definition in self.definitions()]

    def get(self, name: str) -> Tool | None:
        """Return the tool of that name, if there is one."""
        entry = self._entries.get(name)
        return entry.tool if entry else None

    async def run(self, name: str, arguments: object) -> ToolOutcome:
        """Run one call; every failure is an outcome with `is_error`.

        Only cancellation comes out as an exception, after the tool was given a moment
        to clean up. Calls may run side by side.
        """
        entry = self._entries.get(name)
        if entry is None:
            known = ", ".join(self._entries) or "none"
            return failure(f"there is no tool {name[:60]!r}; the tools are: {known}")
        try:
            given = entry.check.check(arguments)
        except ArgumentsRefused as error:
            text = self._redact(str(error))
            return failure(text, f"arguments refused: {text}")
        outcome = await self._run_checked(entry, given)
        if outcome.is_error:
            _log.info("%s failed: %s", name, outcome.detail or outcome.text)
        return outcome

    async def close(self) -> None:
        """Close what the tools hold open; idle threads end, hung ones are left.

        No call may follow.
        """
        self._workers.close()
        for name, entry in self._entries.items():
            if isinstance(entry.tool, ClosableTool):
                error = await close_bounded(entry.tool.close)
                if error is not None:
                    outcome = describe_failure(name, error, self._redact)
                    _log.warning("closing %s failed: %s", name, outcome.detail)
        if self._stdout is not None and not self._workers.hung:
            self._stdout.restore()
            self._stdout = None

    async def _run_checked(self, entry: _Entry, given: dict[str, Any]) -> ToolOutcome:
        name = entry.tool.definition.name
        self._stdout = split_stdout() or self._stdout
        try:
            ended = await self._call(entry, given)
        except TimeoutError:
            seconds = entry.tool.definition.timeout
            text = f"{name} did not answer within {seconds:g} s"
            hung = self._workers.hung
            return failure(text, f"{text}; it still runs" if hung else text)
        except TooManyHung:
            return failure(
                f"{name} is not available at the moment",
                f"{self._workers.hung} tools hang in their threads; none is left",
            )
        if isinstance(ended, Failed):
            return describe_failure(name, ended.error, self._redact)
        return ToolOutcome(ended.text)

    async def _call(self, entry: _Entry, given: dict[str, Any]) -> Ended:
        timeout = entry.tool.definition.timeout
        function = partial(entry.tool.run, given)
        if entry.is_async:
            return await call_async(function, self._encode, timeout)
        context = contextvars.copy_context()
        job = partial(context.run, call_plain, function, self._encode)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        async with asyncio.timeout_at(deadline):
            ended = await self._workers.run(job)
        if isinstance(ended, Finished | Failed):
            return ended
        pending = ended
        left = max(deadline - loop.time(), 0)
        return await call_async(lambda: pending, self._encode, left)


def wire_definition(definition: ToolDefinition) -> dict[str, Any]:
    """Return one tool as the wire carries it: flat, and its timeout in range."""
    shortest, longest = _WIRE_TIMEOUTS
    timeout = definition.timeout + _WIRE_MARGIN
    return {
        "type": "function",
        "name": definition.name,
        "description": definition.description,
        "parameters": build_parameters(definition.parameters),
        "timeout_seconds": min(longest, max(shortest, timeout)),
    }


def load_tools(agent: AgentConfig, kinds: Mapping[str, ToolKind]) -> ToolRegistry:
    """Load the tools of an agent; raise one `ToolError` that names all that fail."""
    loaded = load_each(agent, kinds)
    problems = [each for each in loaded if isinstance(each, ToolError)]
    if not problems:
        tools = [each for each in loaded if not isinstance(each, ToolError)]
        return ToolRegistry(tools, secrets=agent.secrets)
    if len(problems) == 1:
        raise problems[0]
    lines = [problem.with_hint for problem in problems]
    raise ToolError("\n  ".join([f"{len(lines)} tools cannot be loaded:", *lines]))


def load_each(
    agent: AgentConfig, kinds: Mapping[str, ToolKind]
) -> list[Tool | ToolError]:
    """Load the tools of an agent, in its order; in place of one that fails, why."""
    loaded: list[Tool | ToolError] = []
    for number, config in enumerate(agent.tools, 1):
        label = config.name or f"number {number}"
        kind = kinds.get(config.kind)
        try:
            if kind is None:
                known = ", ".join(kinds) or "none"
                raise ToolError(
                    f"there is no tool kind {config.kind!r}", hint=f"known: {known}"
                )
            loaded.append(kind.load(config, agent))
        except ToolError as error:
            loaded.append(ToolError(f"tool {label}: {error.message}", hint=error.hint))
    return loaded
