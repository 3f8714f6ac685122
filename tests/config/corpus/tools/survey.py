"""Answers to the survey, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

Grade: TypeAlias = Literal["good", "fair", "poor"]
ANSWERS: Final = Path(__file__).parent / "answers.jsonl"


def finish_survey(
    on_time: Annotated[bool, "Whether the train was on time"],
    cleanliness: Annotated[Grade, "How clean it was"],
    staff: Annotated[Grade, "How the staff were"],
    recommend: Annotated[int, "From 0 to 10", {"minimum": 0, "maximum": 10}],
) -> None:
    """Keep the answers and hang up, once the caller has confirmed that it is fine.

    Args:
        on_time: Whether the train was on time.
        cleanliness: How clean it was.
        staff: How the staff were.
        recommend: How likely, from 0 to 10.
    """
    line = json.dumps([on_time, cleanliness, staff, recommend])
    with ANSWERS.open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")
