from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from runner.tools.shapes import SIMPLE, array_of, choice_of, tuple_of, union_of


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, True),
        (int, 1.5),
        (int, "1"),
        (int, float("inf")),
        (float, True),
        (float, 10**400),
        (str, 1),
        (bool, 1),
        (time, "25:00"),
        (time, 7),
    ],
)
def test_a_value_of_another_type_is_refused(kind: object, value: object) -> None:
    with pytest.raises(ValueError):
        SIMPLE[kind].convert(value)


def test_a_whole_float_is_an_integer() -> None:
    converted = SIMPLE[int].convert(4.0)

    assert (converted, type(converted)) == (4, int)


@pytest.mark.parametrize(
    ("value", "expected"), [(1, 1), (1.5, 1.5), ("x", "x"), (None, None)]
)
def test_a_union_takes_the_first_member_that_fits(value: Any, expected: Any) -> None:
    shape = union_of([SIMPLE[int], SIMPLE[float], SIMPLE[str], SIMPLE[None]])

    assert shape.convert(value) == expected


def test_a_union_without_a_fitting_member_refuses() -> None:
    with pytest.raises(ValueError, match="fits no member"):
        union_of([SIMPLE[int], SIMPLE[None]]).convert("x")


def test_choices_tell_true_from_one() -> None:
    shape = choice_of([(1, "one"), (True, "true")])

    assert [shape.convert(1), shape.convert(True)] == ["one", "true"]
    assert shape.convert(1.0) == "one"
    for other in (2, [1], "1"):
        with pytest.raises(ValueError):
            shape.convert(other)


def test_a_set_of_numbers_loses_its_doubles() -> None:
    assert array_of(SIMPLE[int], frozenset).convert([1, 1, 2]) == frozenset((1, 2))


def test_a_tuple_has_its_length() -> None:
    shape = tuple_of([SIMPLE[int], SIMPLE[str]])

    assert shape.convert([1, "a"]) == (1, "a")
    with pytest.raises(ValueError):
        shape.convert([1])
