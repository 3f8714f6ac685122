from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.model import (
    AgentConfig,
    TranscriptionConfig,
    TurnDetectionConfig,
    VoiceConfig,
    session_fields,
)

PLAIN = AgentConfig(Path("a.yaml"), 1, "a", "Be brief.")


def test_what_the_file_leaves_open_is_not_sent() -> None:
    assert session_fields(PLAIN) == {"system_prompt": "Be brief."}


def test_everything_the_file_says_has_its_word_on_the_wire() -> None:
    agent = AgentConfig(
        Path("a.yaml"),
        1,
        "a",
        "Be brief.",
        greeting="Hi.",
        voice=VoiceConfig("alba", 80),
        languages=("en", "es"),
        key_terms=("Acme",),
        transcription=TranscriptionConfig("balanced", "Four digits."),
        turn_detection=TurnDetectionConfig(0.5, 0.6, 1.5, False, 0.2),
    )
    tools = [{"type": "function", "name": "look", "description": "", "parameters": {}}]
    assert session_fields(agent, tools) == {
        "system_prompt": "Be brief.",
        "greeting": "Hi.",
        "input": {
            "keyterms": ["Acme"],
            "transcription_mode": "balanced",
            "transcription_prompt": "Four digits.",
            "language_codes": ["en", "es"],
            "turn_detection": {
                "vad_threshold": 0.5,
                "min_silence": 600,
                "max_silence": 1500,
                "interrupt_response": False,
                "interruption_delay": 200,
            },
        },
        "output": {"voice": "alba", "volume": 80},
        "tools": tools,
    }


def test_zero_and_false_are_said() -> None:
    agent = AgentConfig(
        Path("a.yaml"),
        1,
        "a",
        "p",
        voice=VoiceConfig(volume=0),
        turn_detection=TurnDetectionConfig(
            vad_threshold=0, interruptible=False, interruption_delay=0
        ),
    )
    assert session_fields(agent) == {
        "system_prompt": "p",
        "input": {
            "turn_detection": {
                "vad_threshold": 0,
                "interrupt_response": False,
                "interruption_delay": 0,
            }
        },
        "output": {"volume": 0},
    }


@given(st.integers(50, 10_000))
def test_milliseconds_arrive_as_they_were_written(number: int) -> None:
    turns = TurnDetectionConfig(min_silence=number * 0.001)
    agent = AgentConfig(Path("a"), 1, "a", "p", turn_detection=turns)
    sent = session_fields(agent)["input"]["turn_detection"]["min_silence"]
    assert sent == number
    assert type(sent) is int


def test_the_tools_of_the_caller_are_copied() -> None:
    tool = {"name": "look"}
    fields = session_fields(PLAIN, [tool])
    fields["tools"][0]["name"] = "other"
    assert tool == {"name": "look"}
    with pytest.raises(KeyError):
        fields["greeting"]
