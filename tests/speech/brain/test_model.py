"""The mind around a small model, with a model that writes what the test tells it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from runner.speech.brain.farewell import GOODBYE
from runner.speech.brain.model import ModelBrain
from runner.speech.brain.prompt import ChatMessage
from runner.speech.parts import (
    AgentBrief,
    AgentSaid,
    CallerSaid,
    Cancelled,
    Instruction,
    Speak,
    Thought,
    ToolUsed,
    Turn,
    UseTool,
)

BRIEF = AgentBrief(
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
        most_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        self.asked.append(messages)
        if most_tokens == 0:
            return
        answer = self.answers.pop(0)
        for at in range(0, len(answer), 3):
            if cancelled():
                return
            yield answer[at : at + 3]

    def close(self) -> None:
        self.is_closed = True


def think(
    *history: Turn | str, answers: Sequence[str] = (), is_small: bool = False
) -> list[Thought]:
    model = ScriptedModel(*answers)
    model.is_small = is_small
    turns = [CallerSaid(t) if isinstance(t, str) else t for t in history]
    thoughts = list(ModelBrain(model).think(BRIEF, turns, lambda: False))
    assert not model.answers, "the model was asked less often than the test says"
    return thoughts


def test_a_grounded_call_is_made() -> None:
    assert think("What's the weather in Tokyo?", answers=[TOKYO]) == [
        UseTool("get_weather", {"location": "Tokyo"})
    ]


def test_speech_comes_clause_by_clause_from_a_second_look() -> None:
    thoughts = think("Hello.", answers=[SAY, "Hello and welcome. How can I help?"])
    assert thoughts == [Speak("Hello and welcome."), Speak("How can I help?")]


def test_a_guess_about_something_else_becomes_speech() -> None:
    thoughts = think("Hello.", answers=[TOKYO, "Hello! How can I help?"])
    assert all(isinstance(thought, Speak) for thought in thoughts)


def test_a_missing_value_is_asked_for_without_the_model() -> None:
    assert think("Where is my order?", answers=[ORDER]) == [
        Speak("What is the order number?", ASKED)
    ]


def test_the_answer_to_such_a_question_completes_the_request() -> None:
    model = ScriptedModel(ORDER)
    history: list[Turn] = [
        CallerSaid("Where is my order?"),
        AgentSaid("What is the order number?", ASKED),
        CallerSaid("It's twelve thirty four."),
    ]
    thoughts = list(ModelBrain(model).think(BRIEF, history, lambda: False))
    assert thoughts == [UseTool("lookup_order", {"order_id": "1234"})]
    (messages,) = model.asked
    assert messages[-1]["content"] == "Where is my order? It's twelve thirty four."


def test_the_models_own_question_for_a_value_is_marked() -> None:
    thoughts = think("My order!", answers=[SAY, "What is your order number?"])
    assert thoughts == [Speak("What is your order number?", ASKED)]


def test_who_wants_something_else_is_not_asked_again() -> None:
    thoughts = think(
        "Where is my order?",
        AgentSaid("What is the order number?", ASKED),
        "Never mind. What's the weather in Tokyo?",
        answers=[ORDER, TOKYO],
    )
    assert thoughts == [UseTool("get_weather", {"location": "Tokyo"})]


def test_who_does_not_know_the_value_is_asked_again() -> None:
    thoughts = think(
        "Where is my order?",
        AgentSaid("What is the order number?", ASKED),
        "I don't know.",
        answers=[ORDER],
    )
    assert thoughts == [Speak("What is the order number?", ASKED)]


def test_goodbye_is_said_and_the_call_ended_without_the_model() -> None:
    assert think("No thanks, goodbye.") == [Speak(GOODBYE), UseTool("end_call")]


def test_the_model_may_end_the_call_when_the_caller_leaves() -> None:
    end = '{"tool": "end_call", "arguments": {}}'
    assert think("I'm all set.", answers=[end]) == [Speak(GOODBYE), UseTool("end_call")]


def test_the_model_may_not_hang_up_on_a_caller() -> None:
    end = '{"tool": "end_call", "arguments": {}}'
    assert think("Thank you.", answers=[end, "You are welcome."]) == [
        Speak("You are welcome.")
    ]


def test_after_the_end_of_the_call_nothing_is_said() -> None:
    assert think("Bye.", ToolUsed("c", "end_call", {}, '{"ended": true}')) == []


def test_a_result_is_retold_by_a_model_that_can() -> None:
    used = ToolUsed("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    assert think("Weather in Tokyo?", used, answers=["It is clear in Tokyo."]) == [
        Speak("It is clear in Tokyo.")
    ]


def test_a_short_result_is_read_aloud_for_a_model_that_cannot() -> None:
    used = ToolUsed("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    assert think("Weather in Tokyo?", used, is_small=True) == [
        Speak("The sky is clear.")
    ]


def test_a_failure_of_the_ending_tool_is_told() -> None:
    used = ToolUsed("c", "end_call", {}, "no line", is_error=True)
    thoughts = think("Bye.", used, answers=["Sorry, that did not work."])
    assert thoughts == [Speak("Sorry, that did not work.")]


def test_the_same_call_is_not_made_twice_unasked() -> None:
    used = ToolUsed("c", "get_weather", {"location": "Tokyo"}, '{"sky": "clear"}')
    thoughts = think(
        "Weather in Tokyo?",
        used,
        AgentSaid("It is clear."),
        "Perfect.",
        answers=[TOKYO, "Anything else?"],
    )
    assert thoughts == [Speak("Anything else?")]


@pytest.mark.parametrize(
    "broken",
    ["", '{"tool": "get_weather", "argum', '{"tool": "unknown", "arguments": {}}'],
)
def test_a_broken_decision_becomes_speech(broken: str) -> None:
    assert think("Hello.", answers=[broken, "Hello there."]) == [Speak("Hello there.")]


def test_an_instruction_or_nothing_is_answered_with_speech() -> None:
    assert think(Instruction("Greet the caller."), answers=["Hello there."])
    assert think(answers=["Hello there."]) == [Speak("Hello there.")]


def test_an_agent_without_tools_never_decides() -> None:
    model = ScriptedModel("Once upon a time.")
    brain = ModelBrain(model)
    history: list[Turn] = [CallerSaid("Tell me a story.")]
    thoughts = list(brain.think(AgentBrief("Tell stories."), history, lambda: False))
    assert thoughts == [Speak("Once upon a time.")]
    brain.warm(AgentBrief("Tell stories."))
    assert len(model.asked) == 2


@pytest.mark.parametrize("answers", [[ORDER], [SAY, "Hello there. How are you?"]])
def test_nothing_is_yielded_once_it_is_cancelled(answers: list[str]) -> None:
    brain = ModelBrain(ScriptedModel(*answers))
    history: list[Turn] = [CallerSaid("Where is my order 1234?")]
    assert list(brain.think(BRIEF, history, lambda: True)) == []


def test_warming_reads_what_thinking_will_begin_with() -> None:
    model = ScriptedModel(SAY, "Hi there.")
    brain = ModelBrain(model)
    brain.warm(BRIEF)
    list(brain.think(BRIEF, [CallerSaid("Hello.")], lambda: False))
    warmed = {messages[0]["content"] for messages in model.asked[:2]}
    used = {messages[0]["content"] for messages in model.asked[2:]}
    assert warmed == used


def test_thinking_leaves_the_history_alone_and_needs_no_order() -> None:
    history: list[Any] = [CallerSaid("Where is my order?")]
    brain = ModelBrain(ScriptedModel(ORDER, ORDER))
    once = list(brain.think(BRIEF, tuple(history), lambda: False))
    assert list(brain.think(BRIEF, tuple(history), lambda: False)) == once


def test_closing_gives_the_model_back() -> None:
    model = ScriptedModel()
    ModelBrain(model).close()
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
        most_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        what = "read" if most_tokens == 0 else "decide"
        self.order.append(what)
        if what == "read" and not self.reads.is_set():
            self.reads.set()
            assert self.go_on.wait(5)
            self.order.append("been read")
            return iter(())
        return super().write(
            messages, grammar=grammar, most_tokens=most_tokens, cancelled=cancelled
        )


def test_a_turn_waits_for_its_prompt_instead_of_reading_it_twice_at_once() -> None:
    model = SlowReader("", TOKYO)
    brain = ModelBrain(model)
    warming = threading.Thread(target=brain.warm, args=(BRIEF,))
    warming.start()
    assert model.reads.wait(5)
    waits = threading.Event()

    def is_cancelled() -> bool:
        waits.set()
        return False

    def think() -> None:
        list(brain.think(BRIEF, [CallerSaid("Weather in Tokyo?")], is_cancelled))

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
    brain = ModelBrain(model)
    warming = threading.Thread(target=brain.warm, args=(BRIEF,))
    warming.start()
    assert model.reads.wait(5)
    cancelled = threading.Event()
    cancelled.set()

    # It comes back although the prompt is not read yet.
    list(brain.think(BRIEF, [CallerSaid("Hello?")], cancelled.is_set))

    assert "been read" not in model.order
    model.go_on.set()
    warming.join(5)
