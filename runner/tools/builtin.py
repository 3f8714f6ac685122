"""The built-in tools `end_call` and `current_time`, installed as plugins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from runner.tools.tool import tool


@tool(effect="terminal", timeout=5)
async def end_call() -> dict[str, bool]:
    """Hang up after saying goodbye, when the caller is done."""
    # The engine hangs up: it sees the effect and waits until the goodbye was played.
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


# strftime("%A") depends on the locale; text for the model is English.
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
        # The model chooses the name, which may be a folder or outside the database.
        raise ValueError(f"there is no time zone {name[:40]!r}") from error
