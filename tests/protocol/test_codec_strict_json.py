"""Strict JSON: what can be decoded can be encoded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.protocol.codec import MAX_DEPTH, dumps, is_too_deep, loads


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e309", "-1e309", "1" * 301])
def test_numbers_beyond_a_float_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loads(f"[{text}]")


@pytest.mark.parametrize("text", ["1e308", "-1.5", "0", "1" * 300, "-7"])
def test_other_numbers_are_read_as_usual(text: str) -> None:
    assert loads(text) == json.loads(text)


def test_bytes_are_utf_8() -> None:
    assert loads('"é"'.encode()) == "é"
    with pytest.raises(ValueError):
        loads(b'"\xff"')


@pytest.mark.parametrize("text", ["plain", "é 😀", "half \ud800", "é \udfff"])
def test_every_text_goes_through_a_socket_and_comes_back(text: str) -> None:
    assert loads(dumps({"a": text}).encode()) == {"a": text}


def test_text_is_escaped_only_where_it_must_be() -> None:
    assert dumps({"a": "é"}) == '{"a":"é"}'


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}])
def test_depth_is_counted_in_lists_and_objects(wrap: Any) -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    assert not is_too_deep(value)
    assert is_too_deep(wrap(value))
