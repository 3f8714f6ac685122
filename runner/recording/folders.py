"""Where a recording goes: a new folder for each, named by its time and its agent."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from runner.errors import FileUnreadable, os_error_text

_LONGEST_NAME = 60  # with the time far from every system's limit


def new_folder(into: Path, agent: str, now: datetime) -> Path:
    """Make `into/2026-01-31T14-05-09-agent` and return it; never one that is there.

    Raises:
        FileUnreadable: it cannot be made.
    """
    plain = re.sub(r"[^\w-]+", "-", agent).strip("-")[:_LONGEST_NAME] or "agent"
    name = f"{now:%Y-%m-%dT%H-%M-%S}-{plain}"
    try:
        into.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = into / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise FileUnreadable(
            f"the call cannot be recorded in '{into}': {os_error_text(error)}",
            hint="choose another folder, or run without --record",
        ) from error
