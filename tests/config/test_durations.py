from __future__ import annotations

import pytest

from runner.config.durations import (
    guess_unit,
    parse_duration,
    respell_duration,
    suggest_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("8s", 8.0), ("1.5s", 1.5), ("30m", 1800.0), ("0ms", 0.0)],
)
def test_units_become_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["8", "s", "8 s", "8h", "-1s", ".5s", "1.s", "8s\n", ""]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("8 s", "8s"),
        ("8sec", "8s"),
        ("8 Seconds", "8s"),
        ("1.5 sec", "1.5s"),
        ("500 msec", "500ms"),
        ("30 minutes", "30m"),
        ("1h", "60m"),
        ("1.5 hours", "90m"),
        ("1h30m", "90m"),
        ("1m 30s", "90s"),
        ("1s 500ms", "1500ms"),
        ("8", None),
        ("8 apples", None),
        ("s", None),
        ("", None),
        ("half an hour", None),
        ("1m and 30s", None),
    ],
)
def test_other_spellings_become_ours(text: str, ours: str | None) -> None:
    assert respell_duration(text) == ours
    if ours is not None:
        assert parse_duration(ours) > 0


@pytest.mark.parametrize(
    ("field", "number", "unit", "is_sure"),
    [
        ("min_silence", 600, "ms", True),
        ("min_silence", 0.6, "s", True),
        ("min_silence", 5, "s", True),
        ("interruption_delay", 200, "ms", True),
        ("timeout", 8, "s", True),
        ("timeout", 500, "ms", False),
        ("timeout", 5000, "ms", False),
        ("max_duration", 1800, "s", True),
        ("max_duration", 30, "s", False),
        ("max_duration", 5, "m", False),
        ("max_duration", 1_000_000, "s", False),
        ("nudge_after", 20, "s", True),
        ("something_else", 5, "s", False),
    ],
)
def test_the_unit_of_a_bare_number_follows_from_its_field(
    field: str, number: float, unit: str, is_sure: bool
) -> None:
    assert guess_unit(("x", field), number) == (unit, is_sure)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10", "write 10s"),
        ("30 minutes", "write 30m"),
        ("1h", "write 60m"),
        ("soon", "write a duration such as 30s or 5m"),
        ("", "write a duration such as 30s or 5m"),
    ],
)
def test_a_duration_of_an_option_gets_the_hint_of_a_field(text: str, hint: str) -> None:
    assert suggest_duration("max_duration", text) == hint
