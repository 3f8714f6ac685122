import random
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.speech.llm.grammar import UnsupportedPattern, quote, translate_pattern
from tests.speech.llm.gbnf import Gbnf

PARTS = st.sampled_from(
    ["a", "7", "\\d", "\\w", "[a-f]", "[^x-z]", "\\.", "(b|cd)", "(?:e)", "[0-9_]", "-"]
)
COUNTS = st.sampled_from(["", "?", "*", "+", "{2}", "{1,3}", "{0,2}", "{2,}"])


@given(st.lists(st.tuples(PARTS, COUNTS), min_size=1, max_size=5), st.randoms())
def test_strings_of_the_grammar_match_the_pattern(
    parts: list[tuple[str, str]], random_: random.Random
) -> None:
    pattern = "".join(part + count for part, count in parts)
    grammar = Gbnf(f"root ::= {translate_pattern(f'^{pattern}$')}")
    for _ in range(5):
        assert re.fullmatch(pattern, grammar.draw(random_))


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)b",
        "(?P<x>a)",
        "a\\b",
        "(a)\\1",
        "a^b",
        "[!-~]",
        'say "x"',
        "\\\\",
        "[",
        "(a",
        "a)",
        "a{3,1}",
        "a{999}",
        "*a",
        "a++",
        "\\",
        "\\D",
        "[b-a]",
        "\n",
    ],
)
def test_unsupported_constructs_are_rejected(pattern: str) -> None:
    with pytest.raises(UnsupportedPattern):
        translate_pattern(pattern)


@given(st.text(max_size=20))
def test_any_pattern_is_translated_or_rejected(pattern: str) -> None:
    with suppress(UnsupportedPattern):
        translate_pattern(pattern)


def test_a_literal_is_escaped() -> None:
    assert quote('{"é\n') == '"{\\x22\\u00E9\\x0A"'
