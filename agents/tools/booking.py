"""The table book of a small restaurant: what is free, by size, day and hour.

It opens from six to eleven in the evening, every day but Monday. The standing
reservations are the regulars', so the answers are the same for everyone who tries it.
"""

from __future__ import annotations

from datetime import date, time
from typing import Annotated

OPENS, LAST_SEATING = time(18, 0), time(21, 30)
MONDAY = 0

# Seats at a table: how many such tables.
TABLES = {2: 3, 4: 3, 8: 1}

# Weekday (Monday is 0), hour: seats of the tables that regulars have then.
STANDING = {
    (4, 19): (2, 2, 4, 8),
    (4, 20): (2, 2, 2, 4, 4, 4, 8),
    (5, 19): (2, 4, 4, 4, 8),
    (5, 20): (2, 2, 2, 4, 4, 4, 8),
    (6, 18): (8,),
}


def check_table(
    day: Annotated[date, "The day, as YYYY-MM-DD", {"examples": ["2026-05-16"]}],
    at: Annotated[time, "The time, as HH:MM in 24 hours", {"examples": ["19:30"]}],
    people: Annotated[int, "How many people", {"minimum": 1, "maximum": 40}],
) -> dict[str, object]:
    """Look up whether a table is free on a day, at a time, for a number of people."""
    if day.weekday() == MONDAY:
        return {"free": False, "reason": "closed on Mondays"}
    if not OPENS <= at <= LAST_SEATING:
        return {"free": False, "reason": "tables are given from 18:00 to 21:30"}
    if people > max(TABLES):
        return {"free": False, "reason": f"the largest table seats {max(TABLES)}"}
    if is_free(day.weekday(), at.hour, people):
        return {"free": True, "day": day, "time": at.strftime("%H:%M")}
    others = [
        f"{hour}:00"
        for hour in range(OPENS.hour, LAST_SEATING.hour + 1)
        if is_free(day.weekday(), hour, people)
    ]
    return {"free": False, "reason": "fully booked then", "free_at": others}


def is_free(weekday: int, hour: int, people: int) -> bool:
    """Whether a table that seats so many is left in that hour."""
    taken = STANDING.get((weekday, hour), ())
    return any(
        count > taken.count(seats) for seats, count in TABLES.items() if seats >= people
    )
