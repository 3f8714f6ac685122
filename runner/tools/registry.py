"""Runs tool calls: checks arguments, applies timeouts, encodes results and errors.

Every call returns a `ToolOutcome`, whatever the tool does.
"""

from __future__ import annotations

import asyncio
import contextlib
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

# About 10,000 words: more than fits the context of a model next to a conversation.
MAX_RESULT_BYTES = 64 * 1024

# Function names that services and language models accept.
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")

# The timeout on the wire is longer than that of the tool, so that vagent reports a
# timeout before the service does. The service accepts 1 to 300 seconds.
_WIRE_MARGIN_S = 5.0
_MIN_WIRE_TIMEOUT_S, _MAX_WIRE_TIMEOUT_S = 1.0, 300.0


@dataclass(frozen=True, slots=True)
class _Entry:
    tool: Tool
    check: ArgumentCheck
    is_async: bool


class ToolRegistry:
    """The tools of one agent.

    Bound to an event loop by the first `run`. `secrets` are redacted by value in
    results, errors and logs.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        *,
        secrets: frozenset[str] = frozenset(),
        workers: int = 8,
        max_result_bytes: int = MAX_RESULT_BYTES,
    ) -> None:
        """Raises `ToolError` for a duplicate name or an invalid schema."""
        self._entries: dict[str, _Entry] = {}
        for tool in tools:
            definition = tool.definition
            if not _NAME.fullmatch(definition.name):
                raise ToolError(
                    f"invalid tool name {definition.name!r}",
                    hint="use letters, digits and _, at most 64, no digit first",
                )
            if definition.name in self._entries:
                raise ToolError(f"two tools are named {definition.name!r}")
            self._entries[definition.name] = _Entry(
                tool,
                ArgumentCheck(definition.name, definition.parameters),
                inspect.iscoroutinefunction(tool.run),
            )
        self._redactor = Redactor(secrets)
        self._redact = self._redactor.text
        self._workers = Workers(workers)
        self._encode = partial(
            encode_result,
            limit=max_result_bytes,
            redact=self._redact,
        )
        self._stdout: SplitStdout | None = None  # installed while tools may print

    @property
    def hung(self) -> int:
        """The number of timed-out plain functions that still run."""
        return self._workers.hung

    def definitions(self) -> list[ToolDefinition]:
        """Returns the definitions of the tools, in the order of the agent file."""
        return [entry.tool.definition for entry in self._entries.values()]

    def wire_definitions(self) -> list[dict[str, Any]]:
        """Returns the tools in the form of `session.update`."""
        return [wire_definition(definition) for definition in self.definitions()]

    def get(self, name: str) -> Tool | None:
        """Returns the tool of that name, if there is one."""
        entry = self._entries.get(name)
        return entry.tool if entry else None

    async def run(self, name: str, arguments: object) -> ToolOutcome:
        """Runs one tool call; a failure is an outcome with `is_error`.

        Raises only CancelledError, after the tool had time to clean up. Calls may run
        concurrently.
        """
        entry = self._entries.get(name)
        if entry is None:
            known = ", ".join(self._entries) or "none"
            shown = self._redact(name)[:60]
            return failure(f"there is no tool {shown!r}; the tools are: {known}")
        try:
            checked = entry.check.check(arguments)
        except ArgumentsRefused as error:
            text = self._describe_refusal(entry, arguments, error)
            return failure(text, f"arguments refused: {text}")
        outcome = await self._run_checked(entry, checked)
        if outcome.is_error:
            _log.info("%s failed: %s", name, outcome.detail or outcome.text)
        return outcome

    async def close(self) -> None:
        """Closes the tools and ends idle threads; hung threads keep running.

        `run` must not be called afterwards.
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

    def _describe_refusal(
        self, entry: _Entry, arguments: object, error: ArgumentsRefused
    ) -> str:
        """Returns the reason without secrets."""
        # The message quotes parts of the arguments. A part of a secret is not found any
        # more, so the message is that of the redacted arguments.
        with contextlib.suppress(RecursionError):
            try:
                entry.check.check(self._redactor.tree(arguments))
            except ArgumentsRefused as redacted:
                return self._redact(str(redacted))
        return self._redact(str(error))

    async def _run_checked(
        self, entry: _Entry, arguments: dict[str, Any]
    ) -> ToolOutcome:
        name = entry.tool.definition.name
        self._stdout = split_stdout() or self._stdout
        try:
            ended = await self._call(entry, arguments)
        except TimeoutError:
            seconds = entry.tool.definition.timeout
            text = f"{name} did not answer within {seconds:g} s"
            hung = self._workers.hung
            return failure(text, f"{text}; it still runs" if hung else text)
        except TooManyHung:
            return failure(
                f"{name} is not available at the moment",
                f"hanging tools: {self._workers.hung}, and no thread is left",
            )
        if isinstance(ended, Failed):
            return describe_failure(name, ended.error, self._redact)
        return ToolOutcome(ended.text)

    async def _call(self, entry: _Entry, arguments: dict[str, Any]) -> Ended:
        timeout = entry.tool.definition.timeout
        function = partial(entry.tool.run, arguments)
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
        remaining = max(deadline - loop.time(), 0)
        return await call_async(lambda: ended, self._encode, remaining)


def wire_definition(definition: ToolDefinition) -> dict[str, Any]:
    """Returns one tool in the form of `session.update`."""
    timeout = definition.timeout + _WIRE_MARGIN_S
    return {
        "type": "function",
        "name": definition.name,
        "description": definition.description,
        "parameters": build_parameters(definition.parameters),
        "timeout_seconds": min(max(timeout, _MIN_WIRE_TIMEOUT_S), _MAX_WIRE_TIMEOUT_S),
    }


def load_tools(
    agent: AgentConfig,
    kinds: Mapping[str, ToolKind],
    secrets: frozenset[str] = frozenset(),
) -> ToolRegistry:
    """Returns the tools of an agent; raises one `ToolError` that names all failures.

    `secrets` are redacted in results, as are those of the agent file.
    """
    loaded = load_each(agent, kinds)
    problems = [each for each in loaded if isinstance(each, ToolError)]
    if not problems:
        tools = [each for each in loaded if not isinstance(each, ToolError)]
        return ToolRegistry(tools, secrets=agent.secrets | secrets)
    if len(problems) == 1:
        raise problems[0]
    lines = [problem.with_hint for problem in problems]
    raise ToolError("\n  ".join([f"{len(lines)} tools cannot be loaded:", *lines]))


def load_each(
    agent: AgentConfig, kinds: Mapping[str, ToolKind]
) -> list[Tool | ToolError]:
    """Returns each tool of an agent in order, or the `ToolError` of its loading."""
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
