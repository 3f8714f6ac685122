"""Files written together: all of them, or none."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_all(files: Mapping[Path, bytes], *, overwrite: bool = False) -> None:
    """Write every file, and the folders that they need.

    Without `overwrite` a file that is there already is a failure too, also one that
    somebody makes at this moment. Raises `FileUnreadable`; then everything is as it
    was before.
    """
    written: list[tuple[Path, bytes | None]] = []  # with what stood there before
    folders: list[Path] = []
    current: Path | None = None
    try:
        for current, content in files.items():
            folders += _make_folders(current.parent)
            before = _content(current) if overwrite else None
            with current.open("wb" if before is not None else "xb") as file:
                written.append((current, before))
                file.write(content)
    except BaseException as error:
        _undo(written, folders)
        if not isinstance(error, OSError):
            raise
        raise FileUnreadable.from_os_error(current, "written", error) from error


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; return the ones that are new, outermost first.

    Of these none is lost when the last one cannot be made: they are unmade here.
    """
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    try:
        for each in reversed(missing):
            each.mkdir()
            made.append(each)
    except OSError:
        _undo([], made)
        raise
    return made


def _undo(written: list[tuple[Path, bytes | None]], folders: list[Path]) -> None:
    for path, before in reversed(written):
        with contextlib.suppress(OSError):
            if before is None:
                path.unlink()
            else:
                path.write_bytes(before)
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()
