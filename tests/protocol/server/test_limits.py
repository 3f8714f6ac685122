"""The single checks, at the edges of what they let pass."""

from __future__ import annotations

import pytest

from runner.protocol.server.limits import (
    SECTIONS,
    TURN_DETECTION,
    Check,
    audio_format,
    choice,
    flag,
    number,
    text,
    texts,
)

DETECTION = TURN_DETECTION


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (text(3), ["", "abc", None], ["abcd", 1, b"a"]),
        (choice("a", "b"), ["a", None], ["c", 1, ["a"]]),
        (number(0, 1), [0, 1, 0.5, None], [-0.1, 1.1, True, "1", float("nan")]),
        (number(50, 100, whole=True), [50, 100, None], [49, 101, 50.0, True]),
        (flag, [True, False, None], [0, "true"]),
        (texts(text(), most=2), [[], ["a", "b"], None], [["a"] * 3, "ab", [None]]),
        (DETECTION["min_silence"], [50, 10_000], [49, 10_001]),
        (DETECTION["interruption_delay"], [0, 1_000], [-1, 1_001]),
        (
            audio_format,
            [None, {}, {"encoding": "audio/pcma", "sample_rate": 8_000}],
            ["audio/pcm", {"encoding": "audio/pcm", "sample_rate": 8_000}],
        ),
        (SECTIONS["tools"], [[], None], ["x", {}]),
    ],
)
def test_each_check_lets_its_range_pass_and_nothing_else(
    check: Check, good: list[object], bad: list[object]
) -> None:
    assert [value for value in good if check(value, "p") is not None] == []
    assert [value for value in bad if check(value, "p") is None] == []


def test_a_refusal_says_what_would_have_been_right() -> None:
    refusal = DETECTION["vad_threshold"](2, "input.turn_detection.vad_threshold")

    assert refusal is not None
    assert refusal.message == (
        "input.turn_detection.vad_threshold must be between 0 and 1"
    )
