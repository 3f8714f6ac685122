import pytest

from runner.speech.llm.small_model import (
    ToolDecision,
    prefers_speech,
    read_tool_decision,
)


def test_a_tool_call_is_parsed() -> None:
    line = '{"tool": "get_weather", "arguments": {"location": "Tokyo"}}'
    assert read_tool_decision(line) == ToolDecision(
        "get_weather", {"location": "Tokyo"}
    )


def test_a_tool_call_in_a_code_fence_is_parsed() -> None:
    assert read_tool_decision('```json\n{"tool": "ping"}\n```') == ToolDecision(
        "ping", {}
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        '{"tool": "get_weather", "argu',
        '{"say": "Hi"}',
        '{"tool": 7}',
        "[1]",
        "Hello",
    ],
)
def test_an_incomplete_tool_call_is_none(line: str) -> None:
    assert read_tool_decision(line) is None


def test_speech_is_recognized_by_its_first_characters() -> None:
    assert prefers_speech('{"say"')
    assert prefers_speech(' {"say": "He')
    assert prefers_speech("Hello")
    assert not prefers_speech('{"')
    assert not prefers_speech('{"tool": "say"')
    assert not prefers_speech("")
