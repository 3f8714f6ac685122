"""Five questions out of many, by the day."""

from __future__ import annotations

import json
import random
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

# Read once; a quiz without its questions should not even start.
QUESTIONS = json.loads(
    Path(__file__).parent.joinpath("questions.json").read_text("utf-8")
)
LETTERS = ("a", "b", "c")


@cache
def _todays(day: date) -> Sequence[dict[str, object]]:
    return random.Random(day.toordinal()).sample(QUESTIONS, 5)


def next_question(
    number: Annotated[int, "Which question, from 1", {"minimum": 1, "maximum": 5}],
) -> dict[str, object]:
    """Get a question with its three answers; the right one is not told."""
    question = _todays(date.today())[number - 1]
    return {key: value for key, value in question.items() if key != "right"}


def check_answer(
    number: Annotated[int, "Which question, from 1", {"minimum": 1, "maximum": 5}],
    answer: Annotated[Literal["a", "b", "c"], "What the player said"],
) -> dict[str, object]:
    """Judge an answer to a question."""
    right = _todays(date.today())[number - 1]["right"]
    return {"correct": answer == right, "right": right}
