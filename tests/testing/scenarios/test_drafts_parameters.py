from __future__ import annotations

from typing import Any

import pytest

from runner.testing.scenarios.drafts import (
    MAX_COMBINATIONS,
    combinations,
    count_combinations,
    fill,
)


def test_the_last_parameter_changes_first() -> None:
    made = list(combinations({"a": [1, 2], "b": ["x", "y"]}))
    assert [tuple(each.values()) for each in made] == [
        *((1, "x"), (1, "y"), (2, "x"), (2, "y"))
    ]
    assert all(list(each) == ["a", "b"] for each in made)


@pytest.mark.parametrize("parameters", [None, {}, {"a": []}, {"a": 1}, [1], "a"])
def test_invalid_parameters_are_one_empty_combination(parameters: Any) -> None:
    assert list(combinations(parameters)) == [{}]
    assert count_combinations(parameters) == 1


def test_a_matrix_is_counted_whole_and_made_up_to_the_limit() -> None:
    parameters = {name: list(range(20)) for name in "abc"}
    assert count_combinations(parameters) == 8000
    assert len(list(combinations(parameters))) == MAX_COMBINATIONS


VALUES = {"n": 5, "f": 2.5, "t": True, "s": "x ${n}", "l": [1], "z": None}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${n}", 5),
        ("${t}", True),
        ("${l}", [1]),
        ("${z}", None),
        ("${s}", "x ${n}"),
        ("${n} and ${f}", "5 and 2.5"),
        (" ${t}", " true"),
        ("${l}, ${z}", "[1], null"),
        ("<${s}>", "<x ${n}>"),
        ("${other} ${n}", "${other} 5"),
        ("$${n}", "${n}"),
        ("$$${n}", "$${n}"),
        ("${env:n} ${ ${}", "${env:n} ${ ${}"),
        ("no placeholder $n {n}", "no placeholder $n {n}"),
    ],
)
def test_a_text_is_filled_once(text: str, filled: Any) -> None:
    assert fill(text, VALUES) == filled


def test_every_text_below_a_value_is_filled_and_no_key() -> None:
    value = {"${n}": ["${n}", {"a": "is ${n}", "b": 1}]}
    assert fill(value, VALUES) == {"${n}": [5, {"a": "is 5", "b": 1}]}


def test_says_of_llm_keeps_placeholders_of_results() -> None:
    rules = [{"hears": "$${x}", "says": "${status} ${n} $${x}"}]
    filled = fill(rules, VALUES, ("llm",))
    assert filled == [{"hears": "${x}", "says": "${status} 5 $${x}"}]
