"""`--watch`: a call follows the files of its agent while they are edited."""

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

# An edit is taken up after two looks that agree: at once, for a person.
LOOK_SECONDS = 0.25

# Parts of an agent file that a running session follows, or says that it cannot.
_FOLLOWED = (
    "prompt",
    "greeting",
    "voice",
    "languages",
    "key_terms",
    "transcription",
    "turn_detection",
    "tools",
)
# And those that only a new call reads, with the words for them.
_NEXT_CALL = {"session": "session", "service_url": "service", "local": "local"}

Loaded: TypeAlias = tuple[AgentConfig, ToolRegistry]


class ReloadListener(Protocol):
    """Who is told what became of an edit."""

    def notice(self, text: str) -> None: ...

    def findings(self, found: Sequence[Diagnostic]) -> None: ...


@dataclass(slots=True)
class HotReloader:
    """Takes edits up: a good file is followed, of a bad one the findings are shown.

    `load` runs in a thread, since the tools' own code may take its time; it returns
    what it could not do.
    """

    agent: AgentConfig
    load: Callable[[], Loaded]
    toolbelt: LiveToolset
    controls: Controls
    audience: ReloadListener

    async def follow(self, files: AgentFileWatcher, before: Marks) -> None:
        """Watch the files for as long as the call goes on."""
        workers = Workers(1)

        async def look() -> Marks:
            return await workers.run(files.look)

        async def pause() -> None:
            await asyncio.sleep(LOOK_SECONDS)

        try:
            async for changed in watch_changes(before, look, pause):
                await self._take(changed, await workers.run(self._load))
        finally:
            workers.close()

    def _load(self) -> Loaded | VagentError:
        try:
            return self.load()
        except VagentError as error:
            return error

    async def _take(
        self, changed: frozenset[Path], loaded: Loaded | VagentError
    ) -> None:
        if isinstance(loaded, VagentError):
            self._refuse(loaded)
            return
        agent, registry = loaded
        parts = changed_parts(self.agent, agent)
        if "tools" not in parts and any(each.suffix == ".py" for each in changed):
            parts.append("tools")
        later = [
            word
            for name, word in _NEXT_CALL.items()
            if getattr(self.agent, name) != getattr(agent, name)
        ]
        self.agent = agent
        if parts or later:
            names = " and ".join(sorted(map(str, changed)))
            self.audience.notice(f"{names} changed: {', '.join([*parts, *later])}")
        if later:
            words = " and ".join(f"`{word}`" for word in later)
            verb = "hold" if len(later) > 1 else "holds"
            self.audience.notice(f"{words} {verb} from the next call on")
        if not parts:
            await registry.close()
        else:
            new = build_toolset(registry)
            self.toolbelt.offer(new)
            session = session_fields(agent, registry.wire_definitions())
            self.controls.reconfigure(session, new.rules)

    def _refuse(self, error: VagentError) -> None:
        if isinstance(error, ConfigError):
            found = [each for each in error.diagnostics if isinstance(each, Diagnostic)]
            self.audience.findings(found)
        self.audience.notice(f"{error.with_hint}: the call goes on as before")


def changed_parts(old: AgentConfig, new: AgentConfig) -> list[str]:
    """Return the parts of an agent file that differ, of those that concern a call."""
    return [name for name in _FOLLOWED if getattr(old, name) != getattr(new, name)]


# An agent's files while they are edited, seen by looking at them.
#
# Looking costs a `stat` a file and works everywhere: on network drives and in
# containers, and with editors that write a new file and put it in the old one's place.


# Size, time of the last write and identity of a file; None where there is none.
Mark: TypeAlias = tuple[int, int, int] | None
Marks: TypeAlias = Mapping[Path, Mark]


class AgentFileWatcher:
    """An agent file and what it draws on, as its text says at the moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._others: frozenset[Path] = frozenset()
        self._known_by: Marks = {}  # the agent file and the folders of the others

    def look(self) -> Marks:
        """Return what tells the files as they are now from what they were."""
        folders = {each.parent for each in self._others}
        known_by = _marks({self._path, *folders})
        if known_by != self._known_by:
            # What a broken file draws on is unknown; then the last good word counts.
            self._others = referenced_files(self._path) or self._others
            self._known_by = known_by
        return _marks({self._path, *self._others})


async def watch_changes(
    before: Marks,
    look: Callable[[], Awaitable[Marks]],
    pause: Callable[[], Awaitable[None]],
) -> AsyncIterator[frozenset[Path]]:
    """Yield the files that differ from `before`, then from what was yielded last.

    A change is yielded when two looks in a row agree: editors write in several steps.
    """
    latest = before
    while True:
        await pause()
        now = await look()
        if now != latest:
            latest = now
        elif latest != before:
            changed = _differing(before, latest)
            before = latest
            yield changed


def _differing(before: Marks, after: Marks) -> frozenset[Path]:
    paths = before.keys() | after.keys()
    return frozenset(each for each in paths if before.get(each) != after.get(each))


def _marks(paths: Iterable[Path]) -> Marks:
    return {path: _mark(path) for path in paths}


def _mark(path: Path) -> Mark:
    try:
        state = path.stat()
    except (OSError, ValueError):  # not there, or a name that no file can have
        return None
    return state.st_size, state.st_mtime_ns, state.st_ino
