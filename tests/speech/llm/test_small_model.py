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

    name = "scripted"
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


def think(
    *history: HistoryMessage | str, answers: Sequence[str] = (), is_small: bool = False
) -> list[ModelOutput]:
    model = ScriptedModel(*answers)
    model.is_small = is_small
    turns: list[HistoryMessage] = [
        UserMessage(t) if isinstance(t, str) else t for t in history
    ]
    thoughts = list(SmallModelPolicy(model).respond(CONTEXT, turns, lambda: False))
    assert not model.answers, "the model was asked less often than the test says"
    return thoughts


def test_a_grounded_call_is_made() -> None:
    assert think("What's the weather in Tokyo?", answers=[TOKYO]) == [
        ToolCallRequest("get_weather", {"location": "Tokyo"})
    ]


def test_speech_comes_clause_by_clause_from_a_second_look() -> None:
    thoughts = think("Hello.", answers=[SAY, "Hello and welcome. How can I help?"])
    assert thoughts == [TextChunk("Hello and welcome."), TextChunk("How can I help?")]


def test_a_guess_about_something_else_becomes_speech() -> None:
    thoughts = think("Hello.", answers=[TOKYO, "Hello! How can I help?"])
    assert all(isinstance(thought, TextChunk) for thought in thoughts)


def test_a_missing_value_is_asked_for_without_the_model() -> None:
    assert think("Where is my order?", answers=[ORDER]) == [
        TextChunk("What is the order number?", ASKED)
    ]


def test_the_answer_to_such_a_question_completes_the_request() -> None:
    model = ScriptedModel(ORDER)
    history: list[HistoryMessage] = [
        UserMessage("Where is my order?"),
        AssistantMessage("What is the order number?", ASKED),
        UserMessage("It's twelve thirty four."),
    ]
    thoughts = list(SmallModelPolicy(model).respond(CONTEXT, history, lambda: False))
    assert thoughts == [ToolCallRequest("lookup_order", {"order_id": "1234"})]
    (messages,) = model.asked
    assert messages[-1]["content"] == "Where is my order? It's twelve thirty four."


def test_the_models_own_question_for_a_value_is_marked() -> None:
    thoughts = think("My order!", answers=[SAY, "What is your order number?"])
    assert thoughts == [TextChunk("What is your order number?", ASKED)]


def test_who_wants_something_else_is_not_asked_again() -> None:
    thoughts = think(
        "Where is my order?",
        AssistantMessage("What is the order number?", ASKED),
        "Never mind. What's the weather in Tokyo?",
        answers=[ORDER, TOKYO],
    )
    assert thoughts == [ToolCallRequest("get_weather", {"location": "Tokyo"})]


def test_who_does_not_know_the_value_is_asked_again() -> None:
    thoughts = think(
        "Where is my order?",
        AssistantMessage("What is the order number?", ASKED),
        "I don't know.",
        answers=[ORDER],
    )
    assert thoughts == [TextChunk("What is the order number?", ASKED)]


def test_goodbye_is_said_and_the_call_ended_without_the_model() -> None:
    assert think("No thanks, goodbye.") == [
        TextChunk(GOODBYE),
        ToolCallRequest("end_call"),
    ]


def test_the_model_may_end_the_call_when_the_caller_leaves() -> None:
    end = '{"tool": "end_call", "arguments": {}}'
    assert think("I'm all set.", answers=[end]) == [
        TextChunk(GOODBYE),
        ToolCallRequest("end_call"),
    ]


def test_the_model_may_not_hang_up_on_a_caller() -> None:
    end = '{"tool": "end_call", "arguments": {}}'
    assert think("Thank you.", answers=[end, "You are welcome."]) == [
        TextChunk("You are welcome.")
    ]


def test_after_the_end_of_the_call_nothing_is_said() -> None:
    assert think("Bye.", ToolMessage("c", "end_call", {}, '{"ended": true}')) == []


def test_a_result_is_retold_by_a_model_that_can() -> None:
    used = ToolMessage("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    assert think("Weather in Tokyo?", used, answers=["It is clear in Tokyo."]) == [
        TextChunk("It is clear in Tokyo.")
    ]


def test_a_short_result_is_read_aloud_for_a_model_that_cannot() -> None:
    used = ToolMessage("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    assert think("Weather in Tokyo?", used, is_small=True) == [
        TextChunk("The sky is clear.")
    ]


def test_a_failure_of_the_ending_tool_is_told() -> None:
    used = ToolMessage("c", "end_call", {}, "no line", is_error=True)
    thoughts = think("Bye.", used, answers=["Sorry, that did not work."])
    assert thoughts == [TextChunk("Sorry, that did not work.")]


def test_the_same_call_is_not_made_twice_unasked() -> None:
    used = ToolMessage("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    thoughts = think(
        "Weather in Tokyo?",
        used,
        AssistantMessage("It is clear."),
        "Perfect.",
        answers=[TOKYO, "Anything else?"],
    )
    assert thoughts == [TextChunk("Anything else?")]


@pytest.mark.parametrize(
    "broken",
    ["", '{"tool": "get_weather", "argum', '{"tool": "unknown", "arguments": {}}'],
)
def test_a_broken_decision_becomes_speech(broken: str) -> None:
    assert think("Hello.", answers=[broken, "Hello there."]) == [
        TextChunk("Hello there.")
    ]


def test_an_instruction_or_nothing_is_answered_with_speech() -> None:
    assert think(SystemMessage("Greet the caller."), answers=["Hello there."])
    assert think(answers=["Hello there."]) == [TextChunk("Hello there.")]


def test_an_agent_without_tools_never_decides() -> None:
    model = ScriptedModel("Once upon a time.")
    brain = SmallModelPolicy(model)
    history: list[HistoryMessage] = [UserMessage("Tell me a story.")]
    thoughts = list(
        brain.respond(AgentContext("Tell stories."), history, lambda: False)
    )
    assert thoughts == [TextChunk("Once upon a time.")]
    brain.warm(AgentContext("Tell stories."))
    assert len(model.asked) == 2


@pytest.mark.parametrize("answers", [[ORDER], [SAY, "Hello there. How are you?"]])
def test_nothing_is_yielded_once_it_is_cancelled(answers: list[str]) -> None:
    brain = SmallModelPolicy(ScriptedModel(*answers))
    history: list[HistoryMessage] = [UserMessage("Where is my order 1234?")]
    assert list(brain.respond(CONTEXT, history, lambda: True)) == []


def test_warming_reads_what_thinking_will_begin_with() -> None:
    model = ScriptedModel(SAY, "Hi there.")
    brain = SmallModelPolicy(model)
    brain.warm(CONTEXT)
    list(brain.respond(CONTEXT, [UserMessage("Hello.")], lambda: False))
    warmed = {messages[0]["content"] for messages in model.asked[:2]}
    used = {messages[0]["content"] for messages in model.asked[2:]}
    assert warmed == used


def test_thinking_leaves_the_history_alone_and_needs_no_order() -> None:
    history: list[Any] = [UserMessage("Where is my order?")]
    brain = SmallModelPolicy(ScriptedModel(ORDER, ORDER))
    once = list(brain.respond(CONTEXT, tuple(history), lambda: False))
    assert list(brain.respond(CONTEXT, tuple(history), lambda: False)) == once


def test_closing_gives_the_model_back() -> None:
    model = ScriptedModel()
    SmallModelPolicy(model).close()
    assert model.is_closed


class SlowReader(ScriptedModel):
    """Takes as long to read its first prompt as the test likes."""

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


def test_a_turn_waits_for_its_prompt_instead_of_reading_it_twice_at_once() -> None:
    model = SlowReader("", TOKYO)
    brain = SmallModelPolicy(model)
    warming = threading.Thread(target=brain.warm, args=(CONTEXT,))
    warming.start()
    assert model.reads.wait(5)
    waits = threading.Event()

    def is_cancelled() -> bool:
        waits.set()
        return False

    def think() -> None:
        list(brain.respond(CONTEXT, [UserMessage("Weather in Tokyo?")], is_cancelled))

    thinking = threading.Thread(target=think)
    thinking.start()
    assert waits.wait(5)
    assert model.order == ["read"]
    model.go_on.set()
    thinking.join(5)
    warming.join(5)

    assert "decide" in model.order
    assert model.order.index("been read") < model.order.index("decide")


def test_a_turn_that_is_cancelled_does_not_wait_for_its_prompt() -> None:
    model = SlowReader("")
    brain = SmallModelPolicy(model)
    warming = threading.Thread(target=brain.warm, args=(CONTEXT,))
    warming.start()
    assert model.reads.wait(5)
    cancelled = threading.Event()
    cancelled.set()

    # It comes back although the prompt is not read yet.
    list(brain.respond(CONTEXT, [UserMessage("Hello?")], cancelled.is_set))

    assert "been read" not in model.order
    model.go_on.set()
    warming.join(5)
