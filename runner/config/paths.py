"""Files that an agent file names: only those at or below its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def resolve_inside(folder: Path, reference: str) -> Path | None:
    """Return the real path of a file named in an agent file.

    None when it lies outside the agent's folder, be it through `..`, an absolute path
    or a symbolic link.
    """
    try:
        path = (folder / reference).resolve()
        return path if path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a name no file can have; a link loop
        return None
