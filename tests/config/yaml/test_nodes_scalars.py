from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.yaml.nodes import NotJsonError, resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1e3", -1000.0),
        ("1E-2", 0.01),
    ],
)
def test_what_yaml_1_2_knows_is_read(text: str, value: object) -> None:
    read = resolve_plain(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "no", "on", "off", "Yes", "y", "n", "tRUE", "nULL"),
        *("2024-01-01", "12:30", "1_000", "0b11", "1e", ".", "-", "+", "0x", "1.2.3"),
        *("600ms", "1.5s", "٣", "１", "infinity", "nan", "=", "<<"),
    ],
)
def test_what_only_yaml_1_1_or_python_knows_is_text(text: str) -> None:
    assert resolve_plain(text) == text


@pytest.mark.parametrize("text", [".inf", "-.INF", "+.Inf", ".nan", "1e999", "9" * 999])
def test_what_json_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(NotJsonError):
        resolve_plain(text)


@given(st.text() | st.from_regex(r"[-+.0-9eExo]{1,12}", fullmatch=True))
def test_every_text_is_a_value_of_json_or_refused(text: str) -> None:
    try:
        value = resolve_plain(text)
    except NotJsonError:
        return
    assert json.loads(json.dumps(value, allow_nan=False)) == value


@given(st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, width=64))
def test_numbers_of_json_are_read_as_they_are(number: float) -> None:
    if isinstance(number, float) and math.isinf(number):
        return
    assert resolve_plain(json.dumps(number)) == number
