import re

from hypothesis import given
from hypothesis import strategies as st

from runner.speech.llm.grammar import translate_interval


def as_expression(grammar: str) -> re.Pattern[str]:
    """The few signs that this notation uses mean the same without quotes and blanks."""
    return re.compile(grammar.replace('"', "").replace(" ", ""))


@given(st.integers(-5_000, 5_000), st.integers(0, 5_000), st.integers(-11_000, 11_000))
def test_exactly_the_numbers_between_the_bounds_match(
    least: int, width: int, n: int
) -> None:
    matches = as_expression(translate_interval(least, least + width)).fullmatch
    assert bool(matches(str(n))) is (least <= n <= least + width)
    assert matches(str(least))
    assert matches(str(least + width))
    assert not matches("-0")
    assert not matches("007")


@given(st.integers(-5_000, 5_000), st.integers(-(10**8), 10**8))
def test_an_open_side_is_open(bound: int, n: int) -> None:
    above = as_expression(translate_interval(bound, None)).fullmatch
    below = as_expression(translate_interval(None, bound)).fullmatch
    assert bool(above(str(n))) is (n >= bound)
    assert bool(below(str(n))) is (n <= bound)
