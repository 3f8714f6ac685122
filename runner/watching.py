"""An agent's files while they are edited, seen by looking at them.

Looking costs a `stat` a file and works everywhere: on network drives and in containers,
and with editors that write a new file and put it in the old one's place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from runner.config.files import referenced_files

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
