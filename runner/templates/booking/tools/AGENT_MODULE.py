"""The tools of the AGENT_NAME agent: put your own book where `bookings` is."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Any

SEATS = 20
OPENS, LAST_SEATING = time(18, 0), time(21, 30)

# (day, hour): how many people are coming.
bookings: dict[tuple[date, int], int] = {}


def find_table(
    day: Annotated[date, {"examples": ["2026-05-16"]}],
    at: Annotated[time, {"examples": ["19:30"]}],
    people: Annotated[int, {"minimum": 1, "maximum": SEATS, "examples": [2, 4]}],
) -> dict[str, Any]:
    """Look up whether there is room on a day, at a time, for a number of people.

    Args:
        day: The day, as YYYY-MM-DD.
        at: The time, as HH:MM in 24 hours.
        people: How many people are coming.
    """
    if not OPENS <= at <= LAST_SEATING:
        return {"free": False, "reason": "tables are given from 18:00 to 21:30"}
    if bookings.get((day, at.hour), 0) + people > SEATS:
        return {"free": False, "reason": "fully booked then"}
    return {"free": True, "day": day, "time": at, "people": people}


def book_table(
    day: Annotated[date, {"examples": ["2026-05-16"]}],
    at: Annotated[time, {"examples": ["19:30"]}],
    people: Annotated[int, {"minimum": 1, "maximum": SEATS, "examples": [2, 4]}],
) -> dict[str, Any]:
    """Book a table. Only after the caller has confirmed the day, time and people.

    Args:
        day: The day, as YYYY-MM-DD.
        at: The time, as HH:MM in 24 hours.
        people: How many people are coming.
    """
    found = find_table(day, at, people)
    if not found["free"]:
        return {"booked": False, "reason": found["reason"]}
    bookings[day, at.hour] = bookings.get((day, at.hour), 0) + people
    return {"booked": True, "day": day, "time": at, "people": people}
