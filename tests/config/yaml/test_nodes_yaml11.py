from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config.yaml.nodes import NotJsonError, read_elsewhere, resolve_plain


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("no", "false"),
        ("No", "false"),
        ("OFF", "false"),
        ("on", "true"),
        ("y", "true"),
        ("nO", None),
        ("none", None),
        ("Norway", None),
        ("12:30", "a number to the base of 60"),
        ("7:05", "a number to the base of 60"),
        ("09:30", None),
        ("12:75", None),
        ("12:30 Uhr", None),
        ("2024-01-01", "a date"),
        ("2024-1-1", None),
        ("2024-01-01 10:00:00", "a date"),
        ("1_000", "a number"),
        ("0b101", "a number"),
        ("012", "10"),
        ("-012", "10"),
        ("007", None),
        ("08", "text"),
        ("0o14", "text"),
        ("1e3", "text"),
        ("1.5e3", "text"),
        ("1.5e+3", None),
        (".5", None),
        ("-.5", "text"),
        ("0x1F", None),
        ("12", None),
        ("+12", None),
        ("1.2.3", None),
        ("+49 170 1234", None),
        ("600ms", None),
        ("true", None),
        ("~", None),
    ],
)
def test_what_other_readers_make_of_it(text: str, meaning: str | None) -> None:
    assert read_elsewhere(text, resolve_plain(text)) == meaning


@given(st.from_regex(r"[-+]?[0-9.:_eEox+-]{1,10}|[yYnNoOfFsSeE]{1,3}", fullmatch=True))
@settings(max_examples=1500)
def test_it_is_what_pyyaml_makes_of_it(text: str) -> None:
    try:
        here = resolve_plain(text)
        there = yaml.safe_load(text)
    except (NotJsonError, yaml.YAMLError, ValueError):
        return
    if text.lower() in ("y", "n"):
        return  # YAML 1.1 has them, PyYAML leaves them out
    if isinstance(there, (list, dict)) or there is None:
        return  # more than a scalar
    assert (read_elsewhere(text, here) is None) == same(here, there)


def same(here: Any, there: Any) -> bool:
    if isinstance(here, str) or isinstance(there, str | bool):
        return type(here) is type(there) and bool(here == there)
    if isinstance(there, int | float) and not math.isinf(there):
        return bool(here == there)
    return False
