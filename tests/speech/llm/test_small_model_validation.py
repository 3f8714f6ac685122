import pytest

from runner.speech.interfaces import (
    AssistantMessage,
    HistoryMessage,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.small_model import (
    ToolDecision,
    find_pending,
    validate_call,
    without_pending,
)
from runner.speech.llm.tools import read_tool_specs

TOOLS = read_tool_specs(
    [
        {
            "name": "showtimes",
            "description": "Tell at what times a film is shown.",
            "parameters": {
                "properties": {"film": {"description": "Title of the film"}},
                "required": ["film"],
            },
        },
        {
            "name": "speak_to_staff",
            "description": "Connect the caller with a member of staff.",
            "parameters": {"properties": {"reason": {}}, "required": ["reason"]},
        },
        {"name": "todays_programme", "description": "List the films that run today."},
        {"name": "end_call", "description": "End the call."},
    ]
)
ASKED = AssistantMessage("What is the title?", "showtimes.film")
FILM = ToolDecision("showtimes", {"film": "Alien"})


def verdict(
    *history: HistoryMessage | str, call: ToolDecision | None, is_small: bool = False
) -> ToolCallRequest | TextChunk | None:
    turns: list[HistoryMessage] = [
        UserMessage(t) if isinstance(t, str) else t for t in history
    ]
    return validate_call(TOOLS, turns, call, is_small=is_small)


def test_a_grounded_tool_call_is_kept() -> None:
    assert verdict("When is Alien on?", call=FILM) == ToolCallRequest(
        "showtimes", {"film": "Alien"}
    )


def test_a_missing_argument_is_asked_for_if_the_request_is_about_the_tool() -> None:
    question = TextChunk("What is the title of the film?", "showtimes.film")
    assert verdict("When does the film start?", call=FILM) == question


def test_a_guess_about_something_else_is_dropped() -> None:
    assert verdict("Hello there.", call=FILM) is None


@pytest.mark.parametrize("call", [None, ToolDecision("unknown", {})])
def test_without_a_tool_call_the_result_is_none(call: ToolDecision | None) -> None:
    assert verdict("When is Alien on?", call=call) is None


@pytest.mark.parametrize(
    "text",
    [
        "Thank you very much.",
        "Thanks, that is all.",
        "No, thanks.",
        "Great, thank you so much for your help.",
    ],
)
@pytest.mark.parametrize("is_small", [True, False])
def test_thanks_never_call_a_tool_that_needs_an_argument(
    text: str, is_small: bool
) -> None:
    turns = ("When is Alien on?", AssistantMessage("Alien is on at nine."), text)
    assert verdict(*turns, call=FILM, is_small=is_small) is None


@pytest.mark.parametrize("text", ["Yes, thank you.", "Sure, thanks.", "Alien, thanks."])
def test_thanks_with_an_agreement_or_an_argument_can_call_a_tool(text: str) -> None:
    turns = ("When is Alien on?", AssistantMessage("Shall I look it up?"), text)
    assert verdict(*turns, call=FILM) == ToolCallRequest("showtimes", {"film": "Alien"})


def test_the_call_is_not_ended_without_a_goodbye() -> None:
    assert verdict("Thank you.", call=ToolDecision("end_call", {})) is None
    assert verdict(
        "I'm all set.", call=ToolDecision("end_call", {})
    ) == ToolCallRequest("end_call")


def test_a_small_model_cannot_call_a_tool_that_was_not_mentioned() -> None:
    call = ToolDecision("speak_to_staff", {"reason": "The caller said hello"})
    assert verdict("Hello.", call=call, is_small=True) is None
    assert verdict("Hello.", call=call) is not None
    assert verdict("Staff, please.", call=call, is_small=True) is not None


def test_a_question_goes_to_a_better_matching_tool_without_parameters() -> None:
    said = "Which films run today?"
    assert verdict(said, call=FILM, is_small=True) == ToolCallRequest(
        "todays_programme"
    )
    assert isinstance(verdict(said, call=FILM), TextChunk)
    assert verdict("Today was long.", call=None, is_small=True) is None


def test_a_repeated_tool_call_must_be_requested_again() -> None:
    used = ToolMessage("c", "showtimes", {"film": "Alien"}, '{"at": "19:00"}')
    assert verdict("When is Alien on?", used, "Perfect.", call=FILM) is None
    assert verdict("When is Alien on?", used, "That film again?", call=FILM) is not None
    failed = ToolMessage("c", "showtimes", {"film": "Alien"}, "timeout", is_error=True)
    assert verdict("When is Alien on?", failed, "Once more.", call=FILM) is not None


def test_the_tool_whose_argument_was_asked_for_is_pending() -> None:
    history: list[HistoryMessage] = [
        UserMessage("When is the film on?"),
        ASKED,
        UserMessage("Alien."),
    ]
    tool = find_pending(TOOLS, history)
    assert tool is not None and tool.name == "showtimes"
    assert without_pending(TOOLS, history) is None


def test_a_request_for_another_tool_drops_the_pending_one() -> None:
    said = UserMessage("Let me speak to your staff.")
    history: list[HistoryMessage] = [
        UserMessage("Hi."),
        UserMessage("When is the film on?"),
        ASKED,
        said,
    ]
    assert without_pending(TOOLS, history) == [UserMessage("Hi."), said]


def test_without_a_question_nothing_is_pending() -> None:
    history: list[HistoryMessage] = [
        UserMessage("Hi."),
        AssistantMessage("Hello."),
        UserMessage("When is Alien on?"),
    ]
    assert find_pending(TOOLS, history) is None
    assert find_pending(TOOLS, history[-1:]) is None
