from typing import Any

import pytest

from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    ModelOutput,
    SystemMessage,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.prompt import GOODBYE
from runner.speech.llm.rule_based import RuleBasedModel

TOOLS: list[dict[str, Any]] = [
    {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {
            "properties": {"location": {"type": "string", "description": "City"}},
            "required": ["location"],
        },
    },
    {
        "name": "lookup_order",
        "description": "Look up an order.",
        "parameters": {
            "properties": {"order_id": {"type": "string", "pattern": "[0-9]{4}"}},
            "required": ["order_id"],
        },
    },
    {"name": "end_call", "description": "End the call."},
]
CONTEXT = AgentContext("You work for Acme.", TOOLS)


def think(
    *history: HistoryMessage | str, context: AgentContext = CONTEXT
) -> list[ModelOutput]:
    turns = [UserMessage(t) if isinstance(t, str) else t for t in history]
    return list(RuleBasedModel().respond(context, turns, lambda: False))


@pytest.mark.parametrize(
    ("said", "name", "arguments"),
    [
        ("What's the weather in Tokyo?", "get_weather", {"location": "Tokyo"}),
        ("Weather in New York, please", "get_weather", {"location": "New York"}),
        ("what is the weather in rome", "get_weather", {"location": "rome"}),
        ("Where is my order 12-34?", "lookup_order", {"order_id": "1234"}),
        ("Check order five six seven eight", "lookup_order", {"order_id": "5678"}),
    ],
)
def test_a_request_becomes_a_call(
    said: str, name: str, arguments: dict[str, str]
) -> None:
    assert think(said) == [ToolCallRequest(name, arguments)]


def test_a_missing_value_is_asked_for_and_taken() -> None:
    question = TextChunk("What is the order number?", "lookup_order.order_id")
    assert think("Where is my order?") == [question]
    assert think(
        "Where is my order?",
        AssistantMessage(question.text, question.asked_for),
        "It is twelve thirty four.",
    ) == [ToolCallRequest("lookup_order", {"order_id": "1234"})]


@pytest.mark.parametrize("said", ["No thanks, goodbye.", "No thanks.", "That's all."])
def test_goodbye_ends_the_call(said: str) -> None:
    assert think(said) == [TextChunk(GOODBYE), ToolCallRequest("end_call")]


def test_a_result_is_read_aloud_and_the_end_is_silent() -> None:
    used = ToolMessage("c", "lookup_order", {"order_id": "1"}, '{"status": "shipped"}')
    assert think("Order?", used) == [TextChunk("The status is shipped.")]
    assert think("Bye.", ToolMessage("c", "end_call", {}, '{"ended": true}')) == []


@pytest.mark.parametrize("history", [["Sing me a song."], [SystemMessage("Sing.")], []])
def test_anything_else_is_answered_with_what_it_is(history: list[Any]) -> None:
    (thought,) = think(*history)
    assert isinstance(thought, TextChunk)
    assert "script without a language model" in thought.text
    assert "get the weather in a city" in thought.text


def test_thanks_are_taken() -> None:
    assert think("Thank you.") == [
        TextChunk("You are welcome. Is there anything else?")
    ]


def test_an_agent_without_tools_says_so() -> None:
    (thought,) = think("Hello", context=AgentContext("Tell stories."))
    assert isinstance(thought, TextChunk) and "cannot answer" in thought.text


def test_it_names_itself_a_script_and_obeys_a_cancellation() -> None:
    brain = RuleBasedModel()
    brain.warm(CONTEXT)
    assert brain.quality == "script"
    assert list(brain.respond(CONTEXT, [UserMessage("Weather?")], lambda: True)) == []
    brain.close()
