"""What the town's departments know; the tables are printed from the town's website."""

from datetime import date, timedelta
from typing import Annotated, Literal, Union

Department = Literal["passports", "registration", "lost property"]

TIMES = dict.fromkeys(("passports", "registration"), "Monday to Friday, eight to one")
TIMES["lost property"] = "Tuesdays and Thursdays, two to six"
FOUND = [("umbrella", date(2026, 11, 2)), ("bicycle", date(2026, 11, 14))]


async def opening_times(department: Annotated[Department, "Which department"]) -> str:
    """Tell when a department is open."""
    return TIMES[department]


async def next_appointment(
    department: Annotated[Department, "Which department"],
    after: Annotated[
        Union[date, None],  # noqa: UP007 - the author's habit
        "The first day that suits",
    ] = None,
    *,
    with_interpreter: Annotated[bool, "Whether an interpreter is needed"] = False,
) -> dict[str, Union[str, bool]]:  # noqa: UP007 - the author's habit
    """Find the next free appointment of a department.

    Args:
        department: Which department.
        after: The first day that suits the caller.
        with_interpreter: Whether an interpreter is needed.
    """
    day = (after or date.today()) + timedelta(days=9 if with_interpreter else 3)
    return {"department": department, "day": day.isoformat(), "free": True}


async def lost_property(
    thing: Annotated[str, "What was lost", {"examples": ["umbrella", "keys"]}],
) -> list[str]:
    """Look up whether something like it has been found."""
    return [f"{name}, found on {day:%d %B}" for name, day in FOUND if thing in name]
