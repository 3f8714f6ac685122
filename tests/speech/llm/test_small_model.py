"""The policy around a small model, with a scripted model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    Cancelled,
    HistoryMessage,
    ModelOutput,
    SystemMessage,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.prompt import GOODBYE, ChatMessage
from runner.speech.llm.small_model import SmallModelPolicy

CONTEXT = AgentContext(
    "You work for Acme.",
    [
        {
            "name": "get_weather",
            "description": "Get the weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"location": {"type": "string", "description": "City"}},
                "required": ["location"],
            },
        },
        {
            "name": "lookup_order",
            "description": "Look up an order.",
            "parameters": {
                "type": "object",
                "properties": {"order_id": {"type": "string", "pattern": "[0-9]{4}"}},
                "required": ["order_id"],
            },
        },
        {"name": "end_call", "description": "End the call."},
    ],
)
TOKYO = '{"tool": "get_weather", "arguments": {"location": "Tokyo"}}'
ORDER = '{"tool": "lookup_order", "arguments": {"order_id": "1234"}}'
SAY = '{"say": "'
ASKED = "lookup_order.order_id"


class ScriptedModel:
    """Writes the given answers, one a question, in pieces; keeps what it was asked."""

    context = 4096
    is_small = False

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[ChatMessage]] = []
        self.is_closed = False

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        max_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        self.asked.append(messages)
        if max_tokens == 0:
            return
        answer = self.answers.pop(0)
        for at in range(0, len(answer), 3):
            if cancelled():
                return
            yield answer[at : at + 3]

    def close(self) -> None:
        self.is_closed = True


def respond(
    *history: HistoryMessage | str, answers: Sequence[str] = (), is_small: bool = False
) -> list[ModelOutput]:
    model = ScriptedModel(*answers)
    model.is_small = is_small
    turns: list[HistoryMessage] = [
        UserMessage(t) if isinstance(t, str) else t for t in history
    ]
    output = list(SmallModelPolicy(model).respond(CONTEXT, turns, lambda: False))
    assert not model.answers, "the model was asked less often than the test says"
    return output


def test_a_grounded_call_is_made() -> None:
    assert respond("What's the weather in Tokyo?", answers=[TOKYO]) == [
        ToolCallRequest("get_weather", {"location": "Tokyo"})
    ]


def test_speech_comes_clause_by_clause_from_a_second_prompt() -> None:
    output = respond("Hello.", answers=[SAY, "Hello and welcome. How can I help?"])
    assert output == [TextChunk("Hello and welcome."), TextChunk("How can I help?")]


def test_a_guess_about_something_else_becomes_speech() -> None:
    output = respond("Hello.", answers=[TOKYO, "Hello! How can I help?"])
    assert all(isinstance(part, TextChunk) for part in output)


def test_a_missing_value_is_asked_for_without_the_model() -> None:
    assert respond("Where is my order?", answers=[ORDER]) == [
        TextChunk("What is the order number?", ASKED)
    ]


def test_the_answer_to_such_a_question_completes_the_request() -> None:
    model = ScriptedModel(ORDER)
    history: list[HistoryMessage] = [
        UserMessage("Where is my order?"),
        AssistantMessage("What is the order number?", ASKED),
        UserMessage("It's twelve thirty four."),
    ]
    output = list(SmallModelPolicy(model).respond(CONTEXT, history, lambda: False))
    assert output == [ToolCallRequest("lookup_order", {"order_id": "1234"})]
    (messages,) = model.asked
    assert messages[-1]["content"] == "Where is my order? It's twelve thirty four."


def test_a_question_of_the_model_for_an_argument_is_marked() -> None:
    output = respond("My order!", answers=[SAY, "What is your order number?"])
    assert output == [TextChunk("What is your order number?", ASKED)]


def test_a_new_request_is_not_answered_with_the_old_question() -> None:
    output = respond(
        "Where is my order?",
        AssistantMessage("What is the order number?", ASKED),
        "Never mind. What's the weather in Tokyo?",
        answers=[ORDER, TOKYO],
    )
    assert output == [ToolCallRequest("get_weather", {"location": "Tokyo"})]


def test_a_caller_without_the_value_is_asked_again() -> None:
    output = respond(
        "Where is my order?",
        AssistantMessage("What is the order number?", ASKED),
        "I don't know.",
        answers=[ORDER],
    )
    assert output == [TextChunk("What is the order number?", ASKED)]


def test_goodbye_and_the_end_of_the_call_need_no_model() -> None:
    assert respond("No thanks, goodbye.") == [
        TextChunk(GOODBYE),
        ToolCallRequest("end_call"),
    ]


def test_the_model_may_end_the_call_when_the_caller_leaves() -> None:
    end = '{"tool": "end_call", "arguments": {}}'
    assert respond("I'm all set.", answers=[end]) == [
        TextChunk(GOODBYE),
        ToolCallRequest("end_call"),
    ]


def test_the_model_may_not_hang_up_on_a_caller() -> None:
    end = '{"tool": "end_call", "arguments": {}}'
    assert respond("Thank you.", answers=[end, "You are welcome."]) == [
        TextChunk("You are welcome.")
    ]


def test_after_the_end_of_the_call_nothing_is_said() -> None:
    assert respond("Bye.", ToolMessage("c", "end_call", {}, '{"ended": true}')) == []


def test_a_larger_model_phrases_the_result() -> None:
    used = ToolMessage("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    assert respond("Weather in Tokyo?", used, answers=["It is clear in Tokyo."]) == [
        TextChunk("It is clear in Tokyo.")
    ]


def test_a_short_result_is_read_aloud_without_a_small_model() -> None:
    used = ToolMessage("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    assert respond("Weather in Tokyo?", used, is_small=True) == [
        TextChunk("The sky is clear.")
    ]


def test_a_failure_of_the_ending_tool_is_spoken() -> None:
    used = ToolMessage("c", "end_call", {}, "no line", is_error=True)
    output = respond("Bye.", used, answers=["Sorry, that did not work."])
    assert output == [TextChunk("Sorry, that did not work.")]


def test_the_same_tool_call_is_not_repeated_without_a_request() -> None:
    used = ToolMessage("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    output = respond(
        "Weather in Tokyo?",
        used,
        AssistantMessage("It is clear."),
        "Perfect.",
        answers=[TOKYO, "Anything else?"],
    )
    assert output == [TextChunk("Anything else?")]


@pytest.mark.parametrize(
    "broken",
    ["", '{"tool": "get_weather", "argum', '{"tool": "unknown", "arguments": {}}'],
)
def test_a_broken_decision_becomes_speech(broken: str) -> None:
    assert respond("Hello.", answers=[broken, "Hello there."]) == [
        TextChunk("Hello there.")
    ]


def test_an_instruction_or_nothing_is_answered_with_speech() -> None:
    assert respond(SystemMessage("Greet the caller."), answers=["Hello there."])
    assert respond(answers=["Hello there."]) == [TextChunk("Hello there.")]


def test_an_agent_without_tools_never_decides() -> None:
    model = ScriptedModel("Once upon a time.")
    llm = SmallModelPolicy(model)
    history: list[HistoryMessage] = [UserMessage("Tell me a story.")]
    output = list(llm.respond(AgentContext("Tell stories."), history, lambda: False))
    assert output == [TextChunk("Once upon a time.")]
    llm.warm(AgentContext("Tell stories."))
    assert len(model.asked) == 2


@pytest.mark.parametrize("answers", [[ORDER], [SAY, "Hello there. How are you?"]])
def test_nothing_is_yielded_once_it_is_cancelled(answers: list[str]) -> None:
    llm = SmallModelPolicy(ScriptedModel(*answers))
    history: list[HistoryMessage] = [UserMessage("Where is my order 1234?")]
    assert list(llm.respond(CONTEXT, history, lambda: True)) == []


def test_warm_caches_the_prefix_of_the_later_prompts() -> None:
    model = ScriptedModel(SAY, "Hi there.")
    llm = SmallModelPolicy(model)
    llm.warm(CONTEXT)
    list(llm.respond(CONTEXT, [UserMessage("Hello.")], lambda: False))
    warmed = {messages[0]["content"] for messages in model.asked[:2]}
    used = {messages[0]["content"] for messages in model.asked[2:]}
    assert warmed == used


def test_a_response_depends_only_on_the_history() -> None:
    history: list[Any] = [UserMessage("Where is my order?")]
    llm = SmallModelPolicy(ScriptedModel(ORDER, ORDER))
    once = list(llm.respond(CONTEXT, tuple(history), lambda: False))
    assert list(llm.respond(CONTEXT, tuple(history), lambda: False)) == once


def test_close_closes_the_model() -> None:
    model = ScriptedModel()
    SmallModelPolicy(model).close()
    assert model.is_closed


class SlowReader(ScriptedModel):
    """Reads its first prompt until the test continues it."""

    def __init__(self, *answers: str) -> None:
        super().__init__(*answers)
        self.reads = threading.Event()
        self.go_on = threading.Event()
        self.order: list[str] = []

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        max_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        what = "read" if max_tokens == 0 else "decide"
        self.order.append(what)
        if what == "read" and not self.reads.is_set():
            self.reads.set()
            assert self.go_on.wait(5)
            self.order.append("been read")
            return iter(())
        return super().write(
            messages, grammar=grammar, max_tokens=max_tokens, cancelled=cancelled
        )


def test_a_turn_waits_until_its_prompt_is_cached() -> None:
    model = SlowReader("", TOKYO)
    llm = SmallModelPolicy(model)
    warming = threading.Thread(target=llm.warm, args=(CONTEXT,))
    warming.start()
    assert model.reads.wait(5)
    waits = threading.Event()

    def is_cancelled() -> bool:
        waits.set()
        return False

    def respond() -> None:
        list(llm.respond(CONTEXT, [UserMessage("Weather in Tokyo?")], is_cancelled))

    thinking = threading.Thread(target=respond)
    thinking.start()
    assert waits.wait(5)
    assert model.order == ["read"]
    model.go_on.set()
    thinking.join(5)
    warming.join(5)

    assert "decide" in model.order
    assert model.order.index("been read") < model.order.index("decide")


def test_a_cancelled_turn_does_not_wait_for_its_prompt() -> None:
    model = SlowReader("")
    llm = SmallModelPolicy(model)
    warming = threading.Thread(target=llm.warm, args=(CONTEXT,))
    warming.start()
    assert model.reads.wait(5)
    cancelled = threading.Event()
    cancelled.set()

    # It comes back although the prompt is not read yet.
    list(llm.respond(CONTEXT, [UserMessage("Hello?")], cancelled.is_set))

    assert "been read" not in model.order
    model.go_on.set()
    warming.join(5)
