"""Which scenarios are chosen: words, tags, what failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.scenarios.model import Place
from runner.testing.selection import key, parse_keywords, select
from tests.testing.builders import scenario

HERE = Place(Path("shop.test.yaml"), 3, 5)
BARE = replace(scenario(Path("a.yaml")), place=HERE)
ORDER = replace(BARE, name="looks up an order", tags=("slow",))
LINE = replace(BARE, name="goes on after the line was lost")
ALL = [ORDER, LINE]

EXPRESSIONS = {
    "order": [ORDER],
    "ORDER": [ORDER],
    "slow": [ORDER],
    "shop.test": ALL,  # the file's name
    "order or line": ALL,
    "order and line": [],
    "not order": [LINE],
    "not order and not line": [],
    "not (order and line)": ALL,
    "(order or line) and slow": [ORDER],
    '"line was lost"': [LINE],
    "'line lost'": [],
    "order or line and slow": [ORDER],
}


@pytest.mark.parametrize(("text", "chosen"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_words_choose(text: str, chosen: list[object]) -> None:
    wanted = parse_keywords(text)

    assert [each for each in ALL if wanted(each)] == chosen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(order", "a ( is not closed"),
        ("order)", "')' is not expected there"),
        ("order line", "'line' is not expected there"),
        ("and order", "a word is missing"),
        ("order or", "a word is missing"),
        ("not", "a word is missing"),
    ],
)
def test_what_is_no_expression_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_keywords(text)

    assert said in caught.value.message
    assert caught.value.hint


def test_one_of_the_tags_is_enough() -> None:
    assert select(ALL, tags=["slow", "other"]) == [ORDER]


def test_what_failed_is_chosen_by_file_and_name() -> None:
    assert select(ALL, failed=frozenset({key(LINE)})) == [LINE]


def test_a_choice_of_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="none of 2 scenarios is chosen"):
        select(ALL, tags=["other"])
