"""Hot reload (`--watch`): applies edits of the agent's files to the running call."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from runner.config.diagnostics import Diagnostic
from runner.config.files import referenced_files
from runner.config.model import AgentConfig, session_fields
from runner.engine.controls import Controls
from runner.engine.toolset import LiveToolset, build_toolset
from runner.errors import ConfigError, VagentError
from runner.tools.execution import Workers
from runner.tools.registry import ToolRegistry

# Polling period; an edit is applied after two equal polls, immediately for a person.
POLL_SECONDS = 0.25

# Parts of an agent file that a running session applies, or reports as unchangeable.
_APPLIED = (
    "prompt",
    "greeting",
    "voice",
    "languages",
    "key_terms",
    "transcription",
    "turn_detection",
    "tools",
)
# Parts that only a new call reads: attribute and key in the file.
_NEXT_CALL = {"session": "session", "service_url": "service", "local": "local"}

Loaded: TypeAlias = tuple[AgentConfig, ToolRegistry]


class ReloadListener(Protocol):
    """Receives the result of an edit."""

    def notice(self, text: str) -> None: ...

    def findings(self, found: Sequence[Diagnostic]) -> None: ...


@dataclass(slots=True)
class HotReloader:
    """Applies a valid edited file to the call, and reports the findings of others.

    `load` runs in a thread, because it imports the code of the tools.
    """

    agent: AgentConfig
    load: Callable[[], Loaded]
    toolset: LiveToolset
    controls: Controls
    listener: ReloadListener

    async def follow(self, files: AgentFileWatcher, previous: Marks) -> None:
        """Watches the files until it is cancelled."""
        workers = Workers(1)

        async def poll() -> Marks:
            return await workers.run(files.poll)

        async def pause() -> None:
            await asyncio.sleep(POLL_SECONDS)

        try:
            async for changed in watch_changes(previous, poll, pause):
                await self._apply(changed, await workers.run(self._load))
        finally:
            workers.close()

    def _load(self) -> Loaded | VagentError:
        try:
            return self.load()
        except VagentError as error:
            return error

    async def _apply(
        self, changed: frozenset[Path], loaded: Loaded | VagentError
    ) -> None:
        if isinstance(loaded, VagentError):
            self._report_error(loaded)
            return
        agent, registry = loaded
        parts = changed_parts(self.agent, agent)
        if "tools" not in parts and any(each.suffix == ".py" for each in changed):
            parts.append("tools")
        later = [
            key
            for name, key in _NEXT_CALL.items()
            if getattr(self.agent, name) != getattr(agent, name)
        ]
        self.agent = agent
        if parts or later:
            names = " and ".join(sorted(map(str, changed)))
            self.listener.notice(f"{names} changed: {', '.join([*parts, *later])}")
        if later:
            keys = " and ".join(f"`{key}`" for key in later)
            verb = "take" if len(later) > 1 else "takes"
            self.listener.notice(f"{keys} {verb} effect with the next call")
        if not parts:
            await registry.close()
        else:
            new = build_toolset(registry)
            self.toolset.offer(new)
            session = session_fields(agent, registry.wire_definitions())
            self.controls.reconfigure(session, new.rules)

    def _report_error(self, error: VagentError) -> None:
        if isinstance(error, ConfigError):
            found = [each for each in error.diagnostics if isinstance(each, Diagnostic)]
            self.listener.findings(found)
        self.listener.notice(f"{error.with_hint}: the call continues unchanged")


def changed_parts(old: AgentConfig, new: AgentConfig) -> list[str]:
    """Returns the parts that differ, of those that a running session applies."""
    return [name for name in _APPLIED if getattr(old, name) != getattr(new, name)]


# Files are polled: it costs one `stat` per file and works on network drives, in
# containers, and with editors that replace the file.

# Size, modification time and inode of a file; None if it does not exist.
Mark: TypeAlias = tuple[int, int, int] | None
Marks: TypeAlias = Mapping[Path, Mark]


class AgentFileWatcher:
    """Polls an agent file and the files that it currently refers to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._referenced: frozenset[Path] = frozenset()
        self._seen: Marks = {}  # the agent file and the folders of the others

    def poll(self) -> Marks:
        """Returns the current marks of the files."""
        folders = {each.parent for each in self._referenced}
        seen = _marks({self._path, *folders})
        if seen != self._seen:
            # The references of an invalid file are unknown; the last ones are kept.
            self._referenced = referenced_files(self._path) or self._referenced
            self._seen = seen
        return _marks({self._path, *self._referenced})


async def watch_changes(
    previous: Marks,
    poll: Callable[[], Awaitable[Marks]],
    pause: Callable[[], Awaitable[None]],
) -> AsyncIterator[frozenset[Path]]:
    """Yields the files that changed since `previous`, then since the last result.

    A change is yielded after two equal polls, because editors write in several steps.
    """
    latest = previous
    while True:
        await pause()
        now = await poll()
        if now != latest:
            latest = now
        elif latest != previous:
            changed = _differing(previous, latest)
            previous = latest
            yield changed


def _differing(previous: Marks, after: Marks) -> frozenset[Path]:
    paths = previous.keys() | after.keys()
    return frozenset(each for each in paths if previous.get(each) != after.get(each))


def _marks(paths: Iterable[Path]) -> Marks:
    return {path: _mark(path) for path in paths}


def _mark(path: Path) -> Mark:
    try:
        state = path.stat()
    except (OSError, ValueError):  # missing, or not a valid file name
        return None
    return state.st_size, state.st_mtime_ns, state.st_ino
