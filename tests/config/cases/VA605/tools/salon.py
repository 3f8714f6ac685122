"""The book of a hair salon."""

from datetime import date
from typing import Annotated

from runner.tools.plugins import tool


@tool(effect="write")
def cancel(day: Annotated[date, "The day of the appointment"]) -> str:
    """Cancel the caller's appointment on a day."""
    return f"cancelled on {day}"


def free_times(day: Annotated[date, "The day"]) -> list[str]:
    """List the times that are still free on a day."""
    return ["10:00", "15:30"] if day.weekday() < 5 else []
