from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.lint.regex import is_catastrophic

# A pattern, and a character whose repetition shows the exponential time.
CATASTROPHIC = [
    (r"(a+)+", "a"),
    (r"^(a*)*$", "a"),
    (r"([a-z]+ ?)+", "a"),
    (r"(\w+\s?)*", "a"),
    (r"(?:[0-9]+-?)+", "1"),
    (r"((ab?)+)*", "a"),
    (r"(.*)*", "a"),
    (r"x(?=(a+)+$)", "a"),
    (r"((a|b)|(a|c))*d", "a"),
    (r"(?:(\w)|(\d))*", "1"),
    (r"((?:a)|([a-z]))+", "a"),
]
HARMLESS = [
    r"[0-9]{4}",
    r"^[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}$",
    r"[a-z]+( [a-z]+)*",
    r"(?:[0-9]+-)*[0-9]+",
    r"^\+?[0-9]{1,3}([ -]?[0-9]{2,4}){2,5}$",
    r"[^@\s]+@[^@\s]+\.[a-z]{2,}",
    r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?",
    r"(red|blue|green)+",
    r"(a|b)*",
    r"(a|a)*",  # Python makes one set of the letters
    r"(\w|\d)+",
    r"([a-z]|[a-m])*x?",
    r"(.|\n)*",
    r"([a-z]|[0-9])+",
    r"(a{1,3}b)+",
    r"(a+b)*",
    r"a*a*a*",  # slow, but not exponentially
    r"[",
    r"",
]


# Number of characters that do not match: 2^27 attempts take over a minute, and those
# of a harmless pattern no measurable time.
LENGTH = 27


def runs_on(pattern: str, letter: str) -> bool:
    """True if a match against letters with a wrong end takes over a second."""
    script = f"import re; re.fullmatch({pattern!r}, {letter * LENGTH + '!'!r})"
    try:
        subprocess.run([sys.executable, "-c", script], check=True, timeout=1)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.parametrize(("pattern", "letter"), CATASTROPHIC)
def test_a_catastrophic_pattern_is_found(pattern: str, letter: str) -> None:
    assert is_catastrophic(pattern)


@pytest.mark.parametrize(("pattern", "letter"), CATASTROPHIC[:3] + CATASTROPHIC[-3:])
def test_a_pattern_that_is_found_takes_exponential_time(
    pattern: str, letter: str
) -> None:
    assert runs_on(pattern, letter)


@pytest.mark.parametrize("pattern", HARMLESS)
def test_a_harmless_pattern_is_not_reported(pattern: str) -> None:
    assert not is_catastrophic(pattern)


@given(st.text(max_size=40))
def test_any_text_is_accepted(pattern: str) -> None:
    is_catastrophic(pattern)


@given(st.lists(st.sampled_from(list("()[]+*?|a0.\\d{2,}")), max_size=14))
def test_any_pattern_is_accepted(parts: list[str]) -> None:
    is_catastrophic("".join(parts))
