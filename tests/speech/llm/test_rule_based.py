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


def respond(
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
def test_a_request_becomes_a_tool_call(
    said: str, name: str, arguments: dict[str, str]
) -> None:
    assert respond(said) == [ToolCallRequest(name, arguments)]


def test_a_missing_argument_is_asked_for_and_used() -> None:
    question = TextChunk("What is the order number?", "lookup_order.order_id")
    assert respond("Where is my order?") == [question]
    assert respond(
        "Where is my order?",
        AssistantMessage(question.text, question.asked_for),
        "It is twelve thirty four.",
    ) == [ToolCallRequest("lookup_order", {"order_id": "1234"})]


@pytest.mark.parametrize("said", ["No thanks, goodbye.", "No thanks.", "That's all."])
def test_goodbye_ends_the_call(said: str) -> None:
    assert respond(said) == [TextChunk(GOODBYE), ToolCallRequest("end_call")]


def test_a_result_is_read_aloud_and_the_end_is_silent() -> None:
    used = ToolMessage("c", "lookup_order", {"order_id": "1"}, '{"status": "shipped"}')
    assert respond("Order?", used) == [TextChunk("The status is shipped.")]
    assert respond("Bye.", ToolMessage("c", "end_call", {}, '{"ended": true}')) == []


@pytest.mark.parametrize("history", [["Sing me a song."], [SystemMessage("Sing.")], []])
def test_anything_else_is_answered_with_an_introduction(history: list[Any]) -> None:
    (part,) = respond(*history)
    assert isinstance(part, TextChunk)
    assert "script without a language model" in part.text
    assert "get the weather in a city" in part.text


def test_thanks_are_answered() -> None:
    assert respond("Thank you.") == [
        TextChunk("You are welcome. Is there anything else?")
    ]


def test_an_agent_without_tools_says_so() -> None:
    (part,) = respond("Hello", context=AgentContext("Tell stories."))
    assert isinstance(part, TextChunk) and "cannot answer" in part.text


def test_the_model_can_be_cancelled() -> None:
    llm = RuleBasedModel()
    llm.warm(CONTEXT)
    assert list(llm.respond(CONTEXT, [UserMessage("Weather?")], lambda: True)) == []
    llm.close()
