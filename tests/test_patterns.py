"""Patterns match as Python's `re` does, in bounded time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.patterns import (
    MAX_PATTERN_CHARS,
    InvalidPattern,
    MatchTimeout,
    compile_pattern,
)

# Each takes a backtracking engine longer than any test on 5,000 letters.
EXPLOSIVE = (
    "((a|b)|(a|c))*d",
    "(?:x|(?:a|a))*y",
    ".*.*.*.*.*.*=",
    "(a+)+$b",
    "([a-z]+ ?)+!",
    "(a*)*b",
    r"(\w|\d|a)*-",
)
LINEAR = (
    r"[0-9]{4}",
    r"^\d+$",
    r"\w+@\w+\.\w{2,}",
    r"(?i)abc|Ä",
    r"(?P<year>\d{4})-(?P<month>\d\d)",
    r"[\W\d]+",
    r"[^\w]",
    r"a{,3}b",
    r"[[:x]y",  # a set that contains `[`, `:` and `x`, not a class of POSIX
    r"\u00e4\x41\101",
    r"(?x) a b # comment",
    r"(?s:.)\Z",
    r"(?m)^b$",
    r"a||b",
    r"",
)
TIMED = (r"(?=.*\d).{4}", r"(a)\1", r"\bword\b", r"[^\W\d]+", r"a*+b", r"(?a)\w+")

ATOMS = st.sampled_from(
    ["a", "b", "é", ".", r"\d", r"\w", r"\s", "[ab]", "[^a]", r"[\wé-]", "1", r"\W"]
)


def combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeat = st.sampled_from(["*", "+", "?", "{2}", "{,2}", "{1,3}", "*?", "+?"])
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, repeat).map(lambda two: f"({two[0]}){two[1]}"),
    )


PATTERNS = st.recursive(ATOMS, combine, max_leaves=6)
TEXTS = st.text("abé1 _-\n٣", max_size=8)


@given(PATTERNS, TEXTS)
def test_a_match_is_the_one_of_re(pattern: str, text: str) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.search(text) == bool(re.search(pattern, text))
    assert compiled.fullmatch(text) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize("pattern", LINEAR)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "1234",
        "ab",
        "abc",
        "ÄB",
        "x@y.de",
        "2026-11",
        "a b",
        "٣٤",
        "a\nb",
        ":y",
        "äAA",
    ],
)
def test_an_ordinary_pattern_is_linear_and_matches_as_re(
    pattern: str, text: str
) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.is_linear
    assert compiled.search(text) == bool(re.search(pattern, text))
    assert compiled.fullmatch(text) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize("pattern", TIMED)
@pytest.mark.parametrize("text", ["", "ab12", "aa", "a word", "äb", "aab", "abc"])
def test_a_pattern_that_re2_lacks_matches_as_re(pattern: str, text: str) -> None:
    compiled = compile_pattern(pattern)
    assert not compiled.is_linear
    assert compiled.search(text) == bool(re.search(pattern, text))
    assert compiled.fullmatch(text) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize("pattern", EXPLOSIVE)
def test_a_pattern_that_explodes_in_re_is_matched_in_linear_time(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.is_linear
    assert not compiled.fullmatch("a" * 5_000)
    assert not compiled.search("a" * 5_000)


def test_an_explosive_pattern_outside_re2_ends_with_the_timeout() -> None:
    with pytest.raises(MatchTimeout):
        compile_pattern("(?!z)(a|aa)+$").fullmatch("a" * 200 + "!")


@pytest.mark.parametrize("pattern", ["(", "[a-z", "a{2}{3}", "(?<=a+)b", "\\", "(?i"])
def test_an_invalid_pattern_is_refused_with_the_reason_of_re(pattern: str) -> None:
    with pytest.raises(re.error) as expected:
        re.compile(pattern)
    with pytest.raises(InvalidPattern) as raised:
        compile_pattern(pattern)
    assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize("pattern", ["(" * 5_000 + ")" * 5_000, "a{99999999999}"])
def test_a_pattern_that_the_parser_cannot_hold_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        compile_pattern(pattern)


def test_a_pattern_has_a_maximum_length() -> None:
    with pytest.raises(InvalidPattern, match="10000 characters"):
        compile_pattern("a" * (MAX_PATTERN_CHARS + 1))


def test_a_dollar_sign_is_the_end_of_the_text_as_in_json_schema() -> None:
    assert compile_pattern("^[0-9]{4}$").search("1234")
    assert not compile_pattern("^[0-9]{4}$").search("1234\n")


def test_half_a_surrogate_pair_does_not_match_and_does_not_raise() -> None:
    assert not compile_pattern("[a-z]+").fullmatch("\ud83d")
    assert compile_pattern(".").fullmatch("\ud83d")
