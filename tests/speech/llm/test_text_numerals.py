import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.speech.llm.text import digit_runs, spoken_tokens

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight"),
    "nine",
)
TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
    *("seventeen", "eighteen", "nineteen"),
)
TENS = (
    *("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"),
    "ninety",
)


def in_words(number: int) -> str:
    """Say a number below ten million, the long way."""
    for scale, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= scale:
            rest = number % scale
            tail = f" {in_words(rest)}" if rest else ""
            return f"{in_words(number // scale)} {name}{tail}"
    if number >= 20:
        unit = f" {ONES[number % 10]}" if number % 10 else ""
        return TENS[number // 10 - 2] + unit
    return (*ONES, *TEENS)[number]


@given(st.integers(0, 9_999_999))
def test_a_number_in_words_becomes_digits(number: int) -> None:
    assert spoken_tokens(in_words(number)) == [str(number)]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_digits_said_one_by_one_join(digits: list[int]) -> None:
    words = spoken_tokens(" ".join(ONES[digit] for digit in digits))
    assert "".join(map(str, digits)) in digit_runs(words)


@pytest.mark.parametrize(
    "said",
    [
        "twelve thirty four",
        "twelve thirty-four",
        "one two three four",
        "12-34",
        "12 34",
        "12.34",
        "1,234",
        "1234",
        "order 1 2 3 4, please",
        "twelve hundred and thirty four",
        "one thousand two hundred thirty four",
    ],
)
def test_every_spoken_form_of_1234_is_recognized(said: str) -> None:
    assert "1234" in digit_runs(spoken_tokens(said))


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("double five oh two", "5502"),
        ("four o five", "405"),
        ("triple seven", "777"),
        ("nineteen ninety nine", "1999"),
        ("two hundred thousand", "200000"),
        ("room twenty one", "21"),
        ("a couple", "2"),
        ("on the third", "3"),
    ],
)
def test_other_ways_to_say_numbers(said: str, number: str) -> None:
    assert number in digit_runs(spoken_tokens(said))


def test_an_exclamation_is_not_a_zero() -> None:
    assert spoken_tokens("Oh, hello") == ["oh", "hello"]


def test_numbers_with_words_between_do_not_join() -> None:
    runs = digit_runs(spoken_tokens("two people at seven"))
    assert runs == {"2", "7"}


@given(st.text(max_size=60))
def test_any_text_is_accepted(text: str) -> None:
    digit_runs(spoken_tokens(text))
