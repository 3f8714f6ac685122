"""session.update: what is taken, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.protocol.server.config import (
    InvalidConfig,
    Settings,
    apply_update,
    default_settings,
)

TOOL = {"type": "function", "name": "look"}


def apply(update: dict[str, Any], *earlier: dict[str, Any]) -> Settings | InvalidConfig:
    settings = default_settings()
    for index, one in enumerate(earlier):
        outcome = apply_update(settings, one, first=index == 0)
        assert isinstance(outcome, Settings)
        settings = outcome
    return apply_update(settings, update, first=not earlier)


def refusal(update: dict[str, Any], *earlier: dict[str, Any]) -> tuple[str, str | None]:
    outcome = apply(update, *earlier)
    assert isinstance(outcome, InvalidConfig)
    return outcome.code, outcome.param


def taken(update: dict[str, Any], *earlier: dict[str, Any]) -> Settings:
    outcome = apply(update, *earlier)
    assert isinstance(outcome, Settings), outcome
    return outcome


@pytest.mark.parametrize(
    ("update", "param"),
    [
        ({"prompt": "x"}, "prompt"),
        ({"greeting": None}, "greeting"),
        ({"input": {"vad": 1}}, "input.vad"),
        ({"output": {"speed": 1}}, "output.speed"),
        ({"input": {"turn_detection": {"silence": 1}}}, "input.turn_detection.silence"),
    ],
)
def test_unknown_keys_are_refused_as_a_wrong_format(
    update: dict[str, Any], param: str
) -> None:
    assert refusal(update) == ("invalid_format", param)


@pytest.mark.parametrize(
    ("update", "param"),
    [
        ({"system_prompt": 1}, "system_prompt"),
        ({"input": []}, "input"),
        ({"input": {"keyterms": ["x"] * 101}}, "input.keyterms"),
        ({"input": {"keyterms": [1]}}, "input.keyterms[0]"),
        ({"input": {"language_codes": ["xx"]}}, "input.language_codes[0]"),
        ({"input": {"transcription_mode": "fast"}}, "input.transcription_mode"),
        ({"input": {"transcription_prompt": "x" * 1751}}, "input.transcription_prompt"),
        ({"input": {"format": "audio/pcm"}}, "format"),
        ({"input": {"format": {"encoding": "mp3"}}}, "input.format.encoding"),
        (
            {"output": {"format": {"encoding": "audio/pcmu", "sample_rate": 16000}}},
            "output.format.sample_rate",
        ),
        (
            {"input": {"turn_detection": {"vad_threshold": 1.5}}},
            "input.turn_detection.vad_threshold",
        ),
        (
            {"input": {"turn_detection": {"vad_threshold": float("nan")}}},
            "input.turn_detection.vad_threshold",
        ),
        (
            {"input": {"turn_detection": {"min_silence": 0.5}}},
            "input.turn_detection.min_silence",
        ),
        (
            {"input": {"turn_detection": {"min_silence": 900, "max_silence": 900}}},
            "input.turn_detection.min_silence",
        ),
        (
            {"input": {"turn_detection": {"interrupt_response": "no"}}},
            "input.turn_detection.interrupt_response",
        ),
        ({"output": {"volume": 101}}, "output.volume"),
        ({"output": {"voice": 3}}, "output.voice"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"name": "x"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [TOOL, TOOL]}, "tools[1].name"),
        ({"tools": [{**TOOL, "http": {}}]}, "tools[0].http"),
        ({"tools": [{**TOOL, "timeout_seconds": 0}]}, "tools[0].timeout_seconds"),
        ({"tools": [{**TOOL, "parameters": []}]}, "tools[0].parameters"),
        (
            {"tools": [{**TOOL, "parameters": {"properties": []}}]},
            "tools[0].parameters.properties",
        ),
        ({"llm": [{"model": "x"}]}, "llm"),
        ({"agent_id": "a", "greeting": "Hi"}, "agent_id"),
    ],
)
def test_bad_values_are_refused_at_their_place(
    update: dict[str, Any], param: str
) -> None:
    assert refusal(update) == ("invalid_value", param)


def test_a_stored_agent_is_not_found_and_can_only_come_first() -> None:
    assert refusal({"agent_id": "a"}) == ("agent_not_found", "agent_id")
    assert refusal({"agent_id": "a"}, {}) == ("agent_id_not_first", "agent_id")


def test_webhooks_are_refused_rather_than_ignored() -> None:
    assert refusal({"webhook": {"url": "https://x"}}) == ("invalid_webhook", "webhook")


@pytest.mark.parametrize(
    ("update", "param"),
    [
        ({"greeting": "Ho"}, "greeting"),
        ({"output": {"voice": "eve"}}, "output.voice"),
        ({"output": {"voice": "nobody"}}, "output.voice"),
        ({"output": {"type": "text"}}, "output.type"),
        ({"output": {"format": {"encoding": "audio/pcmu"}}}, "output.format"),
    ],
)
def test_what_is_fixed_by_the_first_update_stays(
    update: dict[str, Any], param: str
) -> None:
    assert refusal(update, {"greeting": "Hi"}) == ("immutable_field", param)


def test_sending_a_fixed_value_again_does_not_change_it() -> None:
    first = {"greeting": "Hi", "output": {"voice": "ivy"}}

    assert taken(first, first) == taken(first)


def test_objects_are_merged_by_key_and_lists_replaced() -> None:
    settings = taken(
        {"input": {"turn_detection": {"max_silence": 900}}, "tools": [TOOL]},
        {
            "input": {"keyterms": ["Acme"], "turn_detection": {"min_silence": 300}},
            "tools": [{**TOOL, "name": "listen"}],
        },
    )

    assert settings.key_terms == ("Acme",)
    assert settings.turn_detection.min_silence == 0.3
    assert settings.turn_detection.max_silence == 0.9
    assert [tool["name"] for tool in settings.tools] == ["look"]


def test_null_takes_a_setting_back() -> None:
    before = {"input": {"keyterms": ["Acme"], "turn_detection": {"min_silence": 300}}}

    settings = taken({"input": {"keyterms": None, "turn_detection": None}}, before)

    assert settings.key_terms == ()
    assert settings.turn_detection.min_silence is None


def test_tools_are_echoed_whole() -> None:
    [tool] = taken({"tools": [TOOL]}).tools

    assert tool["parameters"] == {"type": "object", "properties": {}, "required": []}
    assert tool["timeout_seconds"] == 120
    assert tool["execution_mode"] == "interactive"


def test_voices_of_the_service_past_and_present_and_of_the_server_are_known() -> None:
    for voice in ("alba", "ivy", "reid"):
        assert isinstance(apply({"output": {"voice": voice}}), Settings)
    update = {"output": {"voice": "joe"}}
    outcome = apply_update(default_settings(), update, first=True, voices=("joe",))
    assert isinstance(outcome, Settings)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "input",
                    "output",
                    "format",
                    "turn_detection",
                    "tools",
                    "greeting",
                    "voice",
                    "type",
                    "encoding",
                    "keyterms",
                    "name",
                    "parameters",
                    "properties",
                    "required",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


# Trees of JSON take their time to draw on a busy machine.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["input", "output", "tools", "greeting"]), JSON))
def test_whatever_comes_is_taken_or_refused(update: dict[str, Any]) -> None:
    outcome = apply(update)

    if isinstance(outcome, Settings):
        # Everything that is read of it later can be read.
        assert outcome.turn_detection.interruption_delay >= 0
        assert outcome.volume >= 0
        assert {"id", "tools"} <= outcome.echo("sess").keys()
