"""The environment of a run: the process's own, and a `.env` file below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def load_environment(folder: Path, process: Mapping[str, str]) -> dict[str, str]:
    """Return `process` with what a `.env` file in `folder` adds to it.

    What the process has set wins, as everywhere. Raises `FileUnreadable`.
    """
    path = folder / ".env"
    if not path.is_file():
        return dict(process)
    # 15 ms to import, and most folders have no .env.
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(
            f"{path} cannot be read: {error}", hint="it must be UTF-8 text"
        ) from error
    added = {name: value for name, value in values.items() if value is not None}
    return {**added, **process}
