"""The tools that come with vagent; they are installed plugins like anyone's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from runner.tools.tool import tool


@tool(effect="terminal", timeout=5)
async def end_call() -> dict[str, bool]:
    """Hang up after saying goodbye, when the caller is done."""
    # Hanging up is the engine's: it sees the effect, and waits for the goodbye to end.
    return {"ended": True}


@tool(timeout=5)
async def current_time(
    timezone: Annotated[
        str,
        "Name of a time zone such as Europe/Berlin, or local.",
        {"examples": ["local", "Europe/Berlin", "America/New_York"]},
    ] = "local",
) -> dict[str, str]:
    """Tell the current date, time and day of the week."""
    if timezone == "local":
        now = datetime.now().astimezone()
        name = now.tzname() or "local"
    else:
        now, name = datetime.now(_find_zone(timezone)), timezone
    return {
        "date": now.strftime("%Y-%m-%d"),
        "time": now.strftime("%H:%M"),
        "weekday": _WEEKDAYS[now.weekday()],
        "timezone": name,
    }


# strftime("%A") follows the machine's locale; the model is spoken to in English.
_WEEKDAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)


def _find_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        # Names come from the model; some reach a folder or leave the database.
        raise ValueError(f"there is no time zone {name[:40]!r}") from error
