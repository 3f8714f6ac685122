"""The garage's diary, over its own small database."""

import asyncio
import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal

PLATE = re.compile(r"[A-Z]{2}[0-9]{2} ?[A-Z]{3}")
Plate = Annotated[
    str,
    "The licence plate, in capitals",
    {"pattern": "[A-Z]{2}[0-9]{2} ?[A-Z]{3}", "examples": ["AB12 CDE", "LK68 ZZT"]},
]
WORK = ("service", "tyres", "inspection", "repair")
_diary: dict[date, list[str]] = {}


async def find_car(plate: Plate) -> dict[str, Any]:
    """Look up a car.

    :param plate: the licence plate, in capitals
    :returns: make, model and last visit; ``known`` is false for a car we never saw
    """
    await asyncio.sleep(0)
    if not PLATE.fullmatch(plate):
        return {"known": False, "reason": "not a plate"}
    return {"known": True, "make": "Skoda", "model": "Octavia", "last_visit": "May"}


async def workshop_days(
    work: Annotated[Literal["service", "tyres", "inspection", "repair"], "What to do"],
    weeks_ahead: Annotated[int, "How many weeks from now", {"maximum": 8}] = 0,
) -> list[date]:
    """List the days that still have room for a kind of work."""
    first = date.today() + timedelta(weeks=weeks_ahead)
    days = [first + timedelta(days=n) for n in range(1, 8)]
    room = 1 if work == "repair" else 3
    return [day for day in days if len(_diary.get(day, ())) < room][:3]


async def book_car(
    plate: Plate,
    day: date,
    work: Literal["service", "tyres", "inspection", "repair"],
) -> bool:
    """Book a car in."""
    _diary.setdefault(day, []).append(f"{plate}: {work}")
    return True
