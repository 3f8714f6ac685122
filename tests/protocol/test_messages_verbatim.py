"""Words that are dictated are understood as they were meant, and no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.client.announcements import prompt_verbatim
from runner.protocol.messages import parse_verbatim, say_verbatim


@given(st.text(min_size=1))
def test_what_is_dictated_arrives_as_it_was(text: str) -> None:
    assert parse_verbatim(say_verbatim(text)) == text
    assert parse_verbatim(prompt_verbatim(text)) == text


@pytest.mark.parametrize(
    "instructions",
    [
        None,
        "",
        "Ask the caller in one short sentence whether they are still there.",
        'Say "hello".',
        'Say exactly "hello" in French.',
        'Say exactly: "hello" and ask for the name.',
        "Say exactly this: hello",
        'Be brief. Say exactly: "hello"',
    ],
)
def test_other_instructions_are_for_a_mind(instructions: str | None) -> None:
    assert parse_verbatim(instructions) is None


@pytest.mark.parametrize(
    "instructions",
    ['Say exactly "hello"', ' Say exactly: "hello"\n', 'Say exactly this: "hello"'],
)
def test_the_form_has_room_for_other_words(instructions: str) -> None:
    assert parse_verbatim(instructions) == "hello"
