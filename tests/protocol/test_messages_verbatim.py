"""Instructions with a verbatim text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.client.announcements import prompt_verbatim
from runner.protocol.messages import parse_verbatim, say_verbatim


@given(st.text(min_size=1))
def test_a_verbatim_text_is_parsed_unchanged(text: str) -> None:
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
def test_other_instructions_are_not_verbatim(instructions: str | None) -> None:
    assert parse_verbatim(instructions) is None


@pytest.mark.parametrize(
    "instructions",
    ['Say exactly "hello"', ' Say exactly: "hello"\n', 'Say exactly this: "hello"'],
)
def test_the_pattern_allows_other_wordings(instructions: str) -> None:
    assert parse_verbatim(instructions) == "hello"
