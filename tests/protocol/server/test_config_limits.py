"""The single checks, at the edges of what they let pass."""

from __future__ import annotations

import pytest

from runner.protocol.server.config import (
    SECTIONS,
    TURN_DETECTION,
    Check,
    InvalidConfig,
    Settings,
    apply_update,
    check_audio_format,
    check_tools,
    choice,
    default_settings,
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
        (texts(text(), max_items=2), [[], ["a", "b"], None], [["a"] * 3, "ab", [None]]),
        (DETECTION["min_silence"], [50, 10_000], [49, 10_001]),
        (DETECTION["interruption_delay"], [0, 1_000], [-1, 1_001]),
        (
            check_audio_format,
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


FIELDS: list[tuple[str, list[object], list[object]]] = [
    ("input.type", ["audio", "text"], ["video", 1]),
    ("input.keyterms", [[], ["a"] * 100], [["a"] * 101, ["a", 1], "a"]),
    ("input.transcription_mode", ["min_latency", "balanced", "max_accuracy"], ["x"]),
    ("input.continuous_partials", [True, False], ["true", 1]),
    ("input.transcription_prompt", ["x" * 1_750], ["x" * 1_751, 1]),
    ("input.language_codes", [["en", "zh"], []], [["en", "xx"], ["en", None], "en"]),
    ("input.voice_focus", ["near-field", "far-field"], ["near", True]),
    ("input.voice_focus_threshold", [0, 1, 0.5], [-0.1, 1.1, "1"]),
    ("input.format", [{"sample_rate": 24_000}], [{"sample_rate": 8_000}]),
    ("input.turn_detection.type", ["server_vad", "semantic_vad"], ["vad"]),
    ("input.turn_detection.vad_threshold", [0, 1], [1.01, -0.01, True]),
    ("input.turn_detection.min_silence", [50, 10_000], [49, 10_001, 60.0]),
    ("input.turn_detection.max_silence", [50, 10_000], [49, 10_001, 60.0]),
    ("input.turn_detection.interrupt_response", [True, False], [0]),
    ("input.turn_detection.interruption_delay", [0, 1_000], [-1, 1_001, 0.5]),
    (
        "input.turn_detection.uninterruptible_turns",
        [["greeting", "dtmf_prompt", "tool_refused_ask"]],
        [["greeting", "x"], "greeting"],
    ),
    ("output.type", ["audio", "text"], ["video"]),
    ("output.volume", [0, 100, 0.5], [-1, 101]),
    ("system_prompt", ["x"], [1]),
    ("greeting", ["x"], [1]),
    ("pre_connect_requests", [[]], ["x"]),
    ("llm", [[], None], [{}, "x"]),
    ("webhook", [None], []),
]


@pytest.mark.parametrize(("place", "good", "bad"), FIELDS)
def test_each_field_of_an_update_is_held_to_its_range(
    place: str, good: list[object], bad: list[object]
) -> None:
    def outcome(value: object) -> object:
        for key in reversed(place.split(".")):
            value = {key: value}
        assert isinstance(value, dict)
        return apply_update(default_settings(), value, first=True)

    for value in good:
        assert isinstance(outcome(value), Settings), value
    for value in bad:
        refused = outcome(value)
        assert isinstance(refused, InvalidConfig), value
        assert (refused.param or "").startswith(place)


TOOL = {"type": "function", "name": "look"}


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"type": "http"}, "type"),
        ({"description": 1}, "description"),
        ({"timeout_seconds": 0.9}, "timeout_seconds"),
        ({"timeout_seconds": 301}, "timeout_seconds"),
        ({"parameters": {}, "timeout_seconds": 301}, "timeout_seconds"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"properties": []}}, "parameters.properties"),
        ({"parameters": {"properties": {"a": 1}}}, "parameters.properties.a"),
        ({"parameters": {"required": "a"}}, "parameters.required"),
        ({"parameters": {"required": ["a", 1]}}, "parameters.required[1]"),
    ],
)
def test_a_tool_is_refused_where_it_is_wrong(
    tool: dict[str, object], param: str
) -> None:
    refused = check_tools([{**TOOL, "name": "fine"}, {**TOOL, **tool}])

    assert refused is not None
    assert refused.param == f"tools[1].{param}"


@pytest.mark.parametrize(
    "tool",
    [
        {"timeout_seconds": 1},
        {"timeout_seconds": 300},
        {"parameters": {"properties": {"a": True, "b": {}}, "required": ["a"]}},
    ],
)
def test_a_tool_within_its_limits_is_taken(tool: dict[str, object]) -> None:
    assert check_tools([{**TOOL, **tool}]) is None
