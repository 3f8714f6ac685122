from typing import Any

import pytest

from runner.speech.llm.grounding import (
    find_asked_parameter,
    parameter_question,
    relevance,
)
from runner.speech.llm.tools import ToolParameter, read_tool_spec, read_tool_specs

TOOLS = read_tool_specs(
    [
        {
            "name": "lookup_order",
            "description": "Look up an order.",
            "parameters": {
                "properties": {"order_id": {"type": "string"}},
                "required": ["order_id"],
            },
        },
        {
            "name": "get_weather",
            "parameters": {
                "properties": {"location": {"description": "City, e.g. Tokyo"}},
                "required": ["location"],
            },
        },
    ]
)


@pytest.mark.parametrize(
    ("name", "schema", "question"),
    [
        ("order_id", {}, "What is the order number?"),
        ("orderId", {}, "What is the order number?"),
        (
            "order_id",
            {"description": "The number of the order, four digits"},
            "What is the number of the order?",
        ),
        ("location", {"description": "City, e.g. Tokyo"}, "What is the city?"),
        (
            "iban",
            {"description": "IBAN of the account"},
            "What is the IBAN of the account?",
        ),
        ("urgent", {"description": "Whether it is urgent"}, "What is the urgent?"),
        (
            "size",
            {"enum": ["small", "extra_large"]},
            "Which size: small or extra large?",
        ),
    ],
)
def test_the_question_uses_the_tools_own_words(
    name: str, schema: dict[str, Any], question: str
) -> None:
    assert parameter_question(ToolParameter(name, schema, True)) == question


def test_a_question_for_an_argument_is_recognized() -> None:
    asked = find_asked_parameter(TOOLS, "Sure! Could you tell me the order number?")
    assert asked == "lookup_order.order_id"
    assert (
        find_asked_parameter(TOOLS, "Which city are you in?") == "get_weather.location"
    )


@pytest.mark.parametrize("text", ["How can I help you?", "I have your order number."])
def test_other_sentences_ask_for_nothing(text: str) -> None:
    assert find_asked_parameter(TOOLS, text) is None


def test_relevance_counts_the_words_shared_with_the_tool() -> None:
    tool = read_tool_spec(
        {"name": "renew_loan", "description": "Renew a library card."}
    )
    assert relevance(tool, "I want to renew my books") == 1
    assert relevance(tool, "Hello, how are you?") == 0
