from __future__ import annotations

import contextlib
import enum
import json
import sqlite3
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.tools.results import NotSerializable, encode_result

LIMIT = 64 * 1024

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters()), inner, max_size=5)
    ),
    max_leaves=30,
)


@settings(deadline=None)  # machine speed varies
@given(json_values)
def test_any_json_value_is_encoded_unchanged(value: Any) -> None:
    text = encode_result(value, limit=LIMIT)

    assert json.loads(text) == value
    text.encode()


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Order:
    number: int
    placed: date


class Model:
    def model_dump(self, mode: str = "python") -> dict[str, object]:
        return {"a": Decimal("1.50")}


class Point(NamedTuple):
    x: int
    y: int


class Table:
    def to_dict(self, orient: str = "dict") -> object:
        return [{"a": 1}] if orient == "records" else {"a": {0: 1}}


class Pair:
    def to_dict(self) -> object:
        return {"a": 1}


def row() -> sqlite3.Row:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        found: sqlite3.Row = database.execute("select 1 as a, 'x' as b").fetchone()
        return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (float("nan"), "null"),
        ([float("inf")], "[null]"),
        ((1, 2), "[1,2]"),
        ({3, 1, 2}, "[1,2,3]"),
        (Order(1, date(2026, 5, 16)), '{"number":1,"placed":"2026-05-16"}'),
        (Model(), '{"a":"1.50"}'),
        (datetime(2026, 5, 16, 19, 30), '"2026-05-16T19:30:00"'),
        (timedelta(minutes=2), "120.0"),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (PurePosixPath("a/b"), '"a/b"'),
        (Colour.RED, '"red"'),
        (b"caf\xc3\xa9", '"café"'),
        (Fraction(1, 2), "0.5"),
        (np.int64(3), "3"),
        (np.float32(0.5), "0.5"),
        (np.bool_(True), "true"),
        (np.arange(3), "[0,1,2]"),
        (np.array(3), "3"),
        (np.datetime64("2026-01-01"), '"2026-01-01"'),
        ({"b": 1, "a": 2}.keys(), '["b","a"]'),
        ({"b": 1}.values(), "[1]"),
        ({"b": 1}.items(), '[["b",1]]'),
        (range(3), "[0,1,2]"),
        (deque([1, 2]), "[1,2]"),
        (Point(1, 2), '{"x":1,"y":2}'),
        ([row()], '[{"a":1,"b":"x"}]'),
        (Table(), '[{"a":1}]'),
        (Pair(), '{"a":1}'),
        (ip_address("10.0.0.1"), '"10.0.0.1"'),
        ({None: 1, 2.5: 2, Colour.RED: 3}, '{"null":1,"2.5":2,"red":3}'),
        ("\ud800", '"\\ud800"'),
    ],
)
def test_python_types_are_encoded(value: object, text: str) -> None:
    assert encode_result(value, limit=LIMIT) == text


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def cycle() -> dict[str, Any]:
    it: dict[str, Any] = {}
    it["self"] = [it]
    return it


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "holds a object"),
        ([lambda: 1], "holds a function"),
        (Order, "holds a type"),
        (b"\xff", "bytes that are not text"),
        (cycle(), "contains itself"),
        pytest.param(nested(5000), "nested too deeply", id="deep"),
        ({"1": 1, 1: 2}, "two entries"),
        ({(1, 2): 1}, "a tuple as a key"),
        pytest.param(10**5000, "number that is too long", id="digits"),
        pytest.param("x" * LIMIT, "longer than 64 KiB", id="text"),
        pytest.param("é" * (LIMIT // 2), "longer than 64 KiB", id="utf8"),
        pytest.param(["x"] * 10_000_000, "longer than 64 KiB", id="list"),
        pytest.param(b"x" * 10_000_000, "longer than 64 KiB", id="bytes"),
    ],
)
def test_values_without_json_are_refused(value: object, reason: str) -> None:
    with pytest.raises(NotSerializable, match=reason):
        encode_result(value, limit=LIMIT)


def test_the_same_list_twice_is_not_a_cycle() -> None:
    row = [1]

    assert encode_result([row, row], limit=LIMIT) == "[[1],[1]]"


def test_strings_and_keys_are_redacted() -> None:
    text = encode_result(
        {"key": ["a secret"], "secret": 1},
        limit=LIMIT,
        redact=lambda text: text.replace("secret", "***"),
    )

    assert text == '{"key":["a ***"],"***":1}'
