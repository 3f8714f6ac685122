"""Appointments of the practice, kept in memory while a call lasts."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal

Visit = Literal["check-up", "cleaning", "toothache"]

LENGTHS = {
    "check-up": timedelta(minutes=20),
    "cleaning": timedelta(minutes=40),
    "toothache": timedelta(minutes=30),
}
STARTS = [time(8, 30), time(9, 30), time(11, 0), time(14, 0), time(16, 30)]
SATURDAY = 5


def free_appointments(
    visit: Annotated[Visit, "What the appointment is for"],
    day: Annotated[date, "The day that the caller wants"],
) -> list[str]:
    """Look up the free times of a day.

    Args:
        visit: What the appointment is for.
        day: The day that the caller wants.

    Returns:
        The times, in 24 hours; empty when there is none.
    """
    if day.weekday() >= SATURDAY:
        return []
    ends = [datetime.combine(day, start) + LENGTHS[visit] for start in STARTS]
    return [
        start.strftime("%H:%M")
        for start, end in zip(STARTS, ends, strict=True)
        if end.hour < 17
    ]


def book_appointment(
    visit: Annotated[Visit, "What the appointment is for"],
    day: Annotated[date, "The day"],
    at: Annotated[time, "When it begins", {"examples": ["09:30", "14:00"]}],
    name: Annotated[str, "First and last name", {"examples": ["Ada Lovelace"]}],
    phone: Annotated[
        str,
        "Where the caller can be reached",
        {"pattern": r"\+?[0-9]{6,15}", "examples": ["02079460123"]},
    ],
) -> dict[str, object]:
    """Book an appointment, once the caller has confirmed the day and the time."""
    digits = phone.removeprefix("+")
    return {"booked": True, "visit": visit, "day": day, "at": at, "for": name or digits}
