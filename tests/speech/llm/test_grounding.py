from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.speech.interfaces import (
    AssistantMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.grounding import check_arguments, gather_evidence, is_similar
from runner.speech.llm.tools import read_tool_spec


def grounded(said: str, value: Any, name: str = "v", **schema: Any) -> bool:
    tool = read_tool_spec(
        {
            "name": "t",
            "parameters": {
                "properties": {name: {"type": "string", **schema}},
                "required": [name],
            },
        }
    )
    call = check_arguments(tool, {name: value}, gather_evidence([UserMessage(said)]))
    return not call.missing and call.arguments == {name: value}


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("What's the weather in Tokyo?", "Tokyo"),
        ("weather in new york please", "New York City"),
        ("It's under Schmitt.", "Schmidt"),
        ("the museum of modern art", "Museum of Modern Art"),
        ("order twelve thirty four", "1234"),
        ("the plate is L X 21 K D B", "LX21KDB"),
        ("room two fourteen", "214"),
        ("It's L 204", "L-204"),
        ("at half past seven", "half past seven"),
    ],
)
def test_values_that_were_said_are_grounded(said: str, value: str) -> None:
    assert grounded(said, value)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("Hello there.", "Tokyo"),
        ("Where is my order?", "1234"),
        ("Where is my order?", "12345"),
        ("My order is 1234", "1235"),
        ("Book a table, please.", "Friday 7 pm"),
        ("I need to cancel.", "John Doe"),
        ("Hi", ""),
        ("the fox", "a"),
    ],
)
def test_a_guess_is_not_grounded(said: str, value: str) -> None:
    assert not grounded(said, value)


def test_numbers_are_compared_with_what_was_said() -> None:
    assert grounded("four of us", 4, type="integer")
    assert grounded("a fee of 2.5", 2.5, type="number")
    assert not grounded("some of us", 4, type="integer")


def test_an_hour_after_noon_may_be_written_for_a_24_hour_clock() -> None:
    assert grounded("at seven in the evening", 19, type="integer")
    assert not grounded("at seven", 19, type="integer")


def test_booleans_and_free_text_are_always_accepted() -> None:
    assert grounded("Hello", True, type="boolean")
    assert grounded("Let me talk to someone", "The caller is upset", name="reason")
    assert grounded("Let me talk to someone", "upset", name="transfer_reason")


def test_a_date_may_be_worked_out_from_a_day() -> None:
    assert grounded("next Friday", "2026-11-27", format="date")
    assert not grounded("soon", "2026-11-27", format="date")


def test_a_list_is_known_when_all_of_it_is() -> None:
    assert grounded("milk and eggs", ["milk", "eggs"], type="array")
    assert not grounded("milk", ["milk", "eggs"], type="array")


def test_a_wrong_number_is_replaced_by_the_one_that_matches_its_pattern() -> None:
    tool = read_tool_spec(
        {
            "name": "t",
            "parameters": {
                "properties": {"id": {"type": "string", "pattern": "[0-9]{4}"}},
                "required": ["id"],
            },
        }
    )
    call = check_arguments(
        tool, {"id": "1243"}, gather_evidence([UserMessage("order 12-34")])
    )
    assert call.arguments == {"id": "1234"}


def test_two_matches_of_a_pattern_replace_nothing() -> None:
    tool = read_tool_spec(
        {
            "name": "t",
            "parameters": {
                "properties": {"id": {"type": "string", "pattern": "[0-9]{4}"}},
                "required": ["id"],
            },
        }
    )
    said = [UserMessage("is it 1234 or was it 5678?")]
    assert check_arguments(tool, {"id": "9999"}, gather_evidence(said)).missing


def test_an_optional_guess_is_dropped_and_the_call_stays() -> None:
    tool = read_tool_spec(
        {
            "name": "t",
            "parameters": {
                "properties": {"to": {"type": "string"}, "at": {"type": "string"}},
                "required": ["to"],
            },
        }
    )
    call = check_arguments(
        tool,
        {"to": "airport", "at": "7 pm"},
        gather_evidence([UserMessage("to the airport")]),
    )
    assert (dict(call.arguments), call.missing) == ({"to": "airport"}, ())


def test_an_optional_boolean_must_be_mentioned() -> None:
    tool = read_tool_spec(
        {"name": "t", "parameters": {"properties": {"gift_wrap": {"type": "boolean"}}}}
    )
    for said, arguments in (
        ("Send it, please.", {}),
        ("Send it as a gift.", {"gift_wrap": True}),
    ):
        call = check_arguments(
            tool, {"gift_wrap": True}, gather_evidence([UserMessage(said)])
        )
        assert call.arguments == arguments


def test_a_value_of_small_words_is_still_a_value() -> None:
    assert grounded("kitchen light on, please", "on", enum=["on", "off"])
    assert not grounded("the kitchen light", "on", enum=["on", "off"])


def test_results_and_instructions_count_but_the_agents_own_words_do_not() -> None:
    tool = read_tool_spec(
        {"name": "t", "parameters": {"properties": {"v": {}}, "required": ["v"]}}
    )
    for turn, is_known in (
        (ToolMessage("c", "find", {}, '{"booking": "K77"}'), True),
        (SystemMessage("The caller's booking is K77."), True),
        (AssistantMessage("Is it K77?"), False),
    ):
        evidence = gather_evidence([turn, UserMessage("Cancel that.")])
        assert (not check_arguments(tool, {"v": "K77"}, evidence).missing) is is_known


def test_numbers_do_not_join_across_turns() -> None:
    assert "1234" not in gather_evidence([UserMessage("12"), UserMessage("34")]).numbers


@given(st.text(max_size=12), st.text(max_size=12))
def test_similarity_is_symmetric(one: str, other: str) -> None:
    assert is_similar(one, one)
    if one == other:
        assert is_similar(other, one)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_value_is_judged_without_an_error(value: Any) -> None:
    grounded("twelve people at seven", value)
