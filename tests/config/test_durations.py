from __future__ import annotations

import pytest

from runner.config.durations import parse_duration


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
