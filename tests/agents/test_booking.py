from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest

from agents.tools.booking import check_table

FRIDAY, MONDAY, TUESDAY = date(2026, 5, 15), date(2026, 5, 18), date(2026, 5, 19)


@pytest.mark.parametrize(
    ("day", "at", "people", "answer"),
    [
        (TUESDAY, time(19, 30), 4, {"free": True, "day": TUESDAY, "time": "19:30"}),
        (MONDAY, time(19), 2, {"free": False, "reason": "closed on Mondays"}),
        (
            TUESDAY,
            time(22),
            2,
            {"free": False, "reason": "tables are given from 18:00 to 21:30"},
        ),
        (TUESDAY, time(19), 9, {"free": False, "reason": "the largest table seats 8"}),
        (
            FRIDAY,
            time(20, 15),
            2,
            {
                "free": False,
                "reason": "fully booked then",
                "free_at": ["18:00", "19:00", "21:00"],
            },
        ),
        (FRIDAY, time(19), 3, {"free": True, "day": FRIDAY, "time": "19:00"}),
        (
            FRIDAY,
            time(19),
            6,
            {
                "free": False,
                "reason": "fully booked then",
                "free_at": ["18:00", "21:00"],
            },
        ),
    ],
)
def test_the_book_says_what_is_free(
    day: date, at: time, people: int, answer: dict[str, Any]
) -> None:
    assert check_table(day, at, people) == answer
