"""The salon's book."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Literal

Stylist = Literal["Chloé", "Bastien", "Ngozi"]
Service = Literal["cut", "colour", "both"]
Day = Annotated[dt.date, "The day"]
Time = Annotated[dt.time, "When it begins", {"examples": ["10:00", "15:30"]}]


@dataclass(slots=True)
class Booking:
    """A client in a chair."""

    day: dt.date
    at: dt.time
    stylist: str
    client: str


_book: list[Booking] = []


def free_chairs(
    day: Day,
    service: Annotated[Service, "What is to be done"],
    stylist: Annotated[Stylist | None, "With whom, if it matters"] = None,
) -> list[str]:
    """Find free times of a day."""
    taken = {each.at for each in _book if each.day == day and each.stylist == stylist}
    step = 2 if service == "both" else 1
    hours = [dt.time(hour) for hour in range(9, 18, step)]
    return [f"{each:%H:%M}" for each in hours if each not in taken][:4]


def book(
    day: Day,
    at: Time,
    stylist: Annotated[Stylist, "With whom"],
    client: Annotated[str, "The client's name", {"examples": ["Inês"]}],
) -> str:
    """Book a chair, once the client has confirmed the time and the stylist."""
    _book.append(Booking(day, at, stylist, client))
    return f"{client}, {day:%A} at {at:%H:%M} with {stylist}"


def cancel(day: Day, client: Annotated[str, "The name", {"examples": ["Inês"]}]) -> int:
    """Cancel a client's bookings of a day; return how many there were."""
    before = len(_book)
    _book[:] = [each for each in _book if (each.day, each.client) != (day, client)]
    return before - len(_book)
