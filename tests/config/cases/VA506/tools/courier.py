"""Pick-ups."""

from datetime import date
from typing import Annotated, Literal


def book(day: date, phone: Annotated[str, "Where to call back"]) -> str:
    """Book a pick-up."""
    return f"{day} {phone}"


def book_well(
    day: date,
    phone: Annotated[str, "Where to call back", {"pattern": "[0-9]{6,15}"}],
    time: Literal["morning", "evening"],
    remark: str = "",
) -> str:
    """Book a pick-up."""
    return f"{day} {phone} {time} {remark}"
