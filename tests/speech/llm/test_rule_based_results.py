import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.speech.interfaces import ToolMessage
from runner.speech.llm.rule_based import is_short, read_aloud


def used(result: Any, is_error: bool = False, **arguments: Any) -> ToolMessage:
    return ToolMessage("c", "t", arguments, json.dumps(result), is_error)


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"status": "shipped"}, "The status is shipped."),
        (
            {"item": "espresso machine", "status": "shipped", "arrives": "Thursday"},
            "Here is what I found: espresso machine, shipped, arrives Thursday.",
        ),
        (
            {"temperature_c": 18, "sky": "light rain"},
            "Here is what I found: temperature 18 degrees Celsius, light rain.",
        ),
        ({"available": False}, "It is not available."),
        (
            {"available": False, "next_date": "2026-12-01"},
            "It is not available, next date December 1, 2026.",
        ),
        ({"ok": True}, "That is done."),
        ({"success": False}, "Sorry, that did not work."),
        ({}, "That is done."),
        (None, "That is done."),
        ([], "I found nothing."),
        (["tea", "milk"], "I found 2: tea, milk."),
        ("We open at 9.", "We open at 9."),
        (42, "42."),
        (
            {"free": False, "deliveryDay": "Monday"},
            "It is not free, delivery day Monday.",
        ),
        ({"a": {"b": 1}}, "The b is 1."),
    ],
)
def test_a_result_becomes_one_sentence(result: Any, sentence: str) -> None:
    assert read_aloud(used(result)) == sentence


def test_arguments_are_not_repeated() -> None:
    answer = read_aloud(used({"city": "Rome", "sky": "clear"}, location="Rome"))
    assert answer == "The sky is clear."


def test_a_failure_is_read_with_its_reason() -> None:
    answer = read_aloud(used({"error": "No such order."}, is_error=True))
    assert answer == "Sorry, that did not work: no such order."


def test_text_that_is_not_json_is_read_unchanged() -> None:
    assert read_aloud(ToolMessage("c", "t", {}, "all good")) == "All good."


def test_a_running_tool_call_is_answered_with_one_moment() -> None:
    assert read_aloud(ToolMessage("c", "t", {})) == "One moment, please."
    assert not is_short(ToolMessage("c", "t", {}))


def test_only_a_few_facts_are_short() -> None:
    assert is_short(used({"a": 1, "b": 2}))
    assert not is_short(used({str(n): n for n in range(9)}))
    assert not is_short(used({"flights": [{"at": "7:00"}, {"at": "8:00"}]}))
    assert not is_short(used("word " * 100))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)
        ),
        max_leaves=10,
    ),
    st.booleans(),
)
def test_every_result_is_read_as_some_sentence(result: Any, is_error: bool) -> None:
    sentence = read_aloud(used(result, is_error))
    assert sentence.endswith((".", "!", "?"))
    is_short(used(result, is_error))
