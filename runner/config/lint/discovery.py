"""Which files are checked: files, folders, patterns, standard input, each file once."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from runner.config.files import find_file, read_agent_file, read_agent_text
from runner.config.lint.results import UnreadableFile
from runner.config.lint.selection import matches, relative_to
from runner.config.source import MAX_BYTES
from runner.errors import FileUnreadable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.config.files import ParsedFile
    from runner.config.lint.selection import Settings

STDIN = Path("-")
_SUFFIXES = {".yaml", ".yml"}
# Others' code, and made by machines; hidden folders (.venv, .git) are left out anyway.
_OTHERS = {"node_modules", "venv", "__pycache__", "site-packages"}


@dataclass(slots=True)
class FileDiscovery:
    """The files to check; can be iterated repeatedly."""

    paths: Sequence[Path]
    settings: Settings
    stdin_name: Path | None = None
    _stdin: bytes | None = field(default=None, repr=False)
    # YAML files of the folders that were read last and look like something else.
    passed_over: list[Path] = field(default_factory=list)

    def readings(self) -> Iterator[ParsedFile | UnreadableFile]:
        """Yields every file once, read and parsed.

        A named file is always included, and of a folder all agent and scenario files,
        recognized by their content. Raises `UsageError` for a folder without any and
        for a pattern that matches no file.
        """
        seen: set[str] = set()
        self.passed_over.clear()
        for path in self._expanded():
            if path == STDIN:
                if str(path) not in seen:
                    yield read_agent_text(self.input(), self.input_name)
                seen.add(str(path))
                continue
            if not path.is_dir():
                if _is_new(path, seen):
                    yield _read(path)
                continue
            chosen = list(self._in_folder(path))
            if not chosen:
                raise UsageError(
                    f"no agent or scenario files in the folder {path}",
                    hint="name the file to check; in a folder, an agent file has "
                    "two keys of agents (version, prompt, tools, …) and a scenario "
                    "file has scenarios",
                )
            yield from (each for each in chosen if _is_new(each.path, seen))

    def candidates(self) -> Iterator[Path]:
        """Yields the files that may have to be checked, without reading them."""
        for path in self._expanded():
            if path.is_dir():
                yield from self._yaml_files(path)
            elif path != STDIN:
                yield path

    def _expanded(self) -> Iterator[Path]:
        for path in self.paths or [Path()]:
            if path == STDIN or os.path.lexists(path) or not _is_pattern(str(path)):
                yield path
            else:
                yield from _fitting(str(path))

    def _in_folder(self, folder: Path) -> Iterator[ParsedFile | UnreadableFile]:
        for path in self._yaml_files(folder):
            try:
                reading = find_file(path)
            except FileUnreadable as error:
                yield UnreadableFile(path, error.message)
            else:
                if reading is not None:
                    yield reading
                elif path not in self.passed_over:
                    self.passed_over.append(path)

    def _yaml_files(self, folder: Path) -> Iterator[Path]:
        """Yields the YAML files below a folder, sorted, without those left out."""
        for current, folders, files in os.walk(folder, onerror=_refuse):
            folders[:] = sorted(
                each
                for each in folders
                if not each.startswith(".")
                and each not in _OTHERS
                and not self._is_excluded(Path(current, each))
            )
            for name in sorted(files):
                path = Path(current, name)
                if path.suffix.lower() in _SUFFIXES and not self._is_excluded(path):
                    yield path

    def _is_excluded(self, path: Path) -> bool:
        if not self.settings.exclude:
            return False
        shown = relative_to(path, self.settings.folder)
        return any(matches(shown, each) for each in self.settings.exclude)

    @property
    def input_name(self) -> Path:
        """The path that stands for standard input."""
        return self.stdin_name or Path("<stdin>")

    def input(self) -> bytes:
        """Returns what came on standard input, which is read once."""
        if self._stdin is None:
            self._stdin = sys.stdin.buffer.read(MAX_BYTES + 1)
        return self._stdin


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _fitting(pattern: str) -> list[Path]:
    """Returns what a pattern stands for, where the shell has not said so already."""
    from glob import glob  # only cmd.exe and quoted patterns need it

    found = [Path(each) for each in sorted(glob(pattern, recursive=True))]
    found = [each for each in found if not each.is_dir()]
    if not found:
        raise UsageError(f"no file fits the pattern '{pattern}'")
    return found


def _is_new(path: Path, seen: set[str]) -> bool:
    """Remember a file; false when it has been seen, by whatever name."""
    real = os.path.normcase(os.path.realpath(path))
    if real in seen:
        return False
    seen.add(real)
    return True


def _read(path: Path) -> ParsedFile | UnreadableFile:
    try:
        return read_agent_file(path)
    except FileUnreadable as error:
        return UnreadableFile(path, error.message)


def _refuse(error: OSError) -> None:
    raise FileUnreadable.from_os_error(error.filename, "read", error) from error


def shown_path(path: PurePath, root: PurePath) -> str:
    """Returns a path with `/`, relative to `root` if it is below it."""
    if path.is_absolute() and path.is_relative_to(root):
        path = path.relative_to(root)
    return path.as_posix()
