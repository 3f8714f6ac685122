from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.lint.regex import is_catastrophic

# A pattern, and a text that shows how the tries multiply.
CATASTROPHIC = [
    (r"(a+)+", "a"),
    (r"^(a*)*$", "a"),
    (r"([a-z]+ ?)+", "a"),
    (r"(\w+\s?)*", "a"),
    (r"(?:[0-9]+-?)+", "1"),
    (r"((ab?)+)*", "a"),
    (r"(.*)*", "a"),
    (r"x(?=(a+)+$)", "a"),
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


# So many characters that do not match: 2^27 tries would take a minute and more, and
# the harmless ones none to speak of.
LENGTH = 27


def runs_on(pattern: str, letter: str) -> bool:
    """Whether a match against letters with a wrong end is not over after a second."""
    script = f"import re; re.fullmatch({pattern!r}, {letter * LENGTH + '!'!r})"
    try:
        subprocess.run([sys.executable, "-c", script], check=True, timeout=1)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.parametrize(("pattern", "letter"), CATASTROPHIC)
def test_what_multiplies_is_found(pattern: str, letter: str) -> None:
    assert is_catastrophic(pattern)


@pytest.mark.parametrize(("pattern", "letter"), CATASTROPHIC[:3])
def test_what_is_found_does_run_on(pattern: str, letter: str) -> None:
    assert runs_on(pattern, letter)


@pytest.mark.parametrize("pattern", HARMLESS)
def test_what_is_quick_is_left_alone(pattern: str) -> None:
    assert not is_catastrophic(pattern)


@given(st.text(max_size=40))
def test_any_text_can_be_asked(pattern: str) -> None:
    is_catastrophic(pattern)


@given(st.lists(st.sampled_from(list("()[]+*?|a0.\\d{2,}")), max_size=14))
def test_any_pattern_can_be_asked(parts: list[str]) -> None:
    is_catastrophic("".join(parts))
