from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.speech.llm.grounding import extract_value
from runner.speech.llm.tools import ToolParameter


@pytest.mark.parametrize(
    ("schema", "said", "value"),
    [
        ({"type": "string", "pattern": "[0-9]{4}"}, "it's twelve thirty four", "1234"),
        ({"type": "string", "pattern": "[0-9]{4}"}, "it's twelve", None),
        ({"enum": ["small", "extra_large"]}, "extra large please", "extra_large"),
        ({"enum": ["small", "large"]}, "a pizza", None),
        ({"type": "integer"}, "a table for four", 4),
        ({"type": "number"}, "about 2.5 metres", 2.5),
        ({"type": "integer"}, "a table", None),
        ({"type": "boolean"}, "yes please", True),
        ({"type": "boolean"}, "no thanks", False),
        ({"type": "string"}, "What's the weather in San Francisco?", "San Francisco"),
        ({"type": "string"}, "Is it raining in Paris right now?", "Paris"),
        ({"type": "string"}, "a taxi to the airport", "airport"),
        ({"type": "string", "examples": ["Rome"]}, "rome, i respond", "Rome"),
        ({"type": "array"}, "a and b", None),
        ({"type": "string"}, "hello", None),
    ],
)
def test_a_value_is_extracted_from_a_request(
    schema: dict[str, Any], said: str, value: object
) -> None:
    assert extract_value(ToolParameter("v", schema, True), said, reply=None) == value


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("It's Miller.", "Miller"),
        ("My name is Ann Lee", "Ann Lee"),
        ("In Oslo, please.", "Oslo"),
        ("tomorrow at six", "tomorrow at six"),
    ],
)
def test_a_short_reply_is_the_value_itself(reply: str, value: str) -> None:
    parameter = ToolParameter("v", {"type": "string"}, True)
    assert extract_value(parameter, f"A request. {reply}", reply=reply) == value


def test_free_text_is_the_whole_request() -> None:
    parameter = ToolParameter("reason", {"type": "string"}, True)
    assert (
        extract_value(parameter, "My bill is wrong", reply=None) == "My bill is wrong"
    )


@given(st.text(max_size=60), st.none() | st.text(max_size=20))
def test_any_text_is_accepted(said: str, reply: str | None) -> None:
    for schema in ({}, {"type": "integer"}, {"enum": ["a", 1]}, {"pattern": "("}):
        extract_value(ToolParameter("v", schema, True), said, reply=reply)
