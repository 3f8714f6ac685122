import pytest

from runner.speech.brain.decision import Call
from runner.speech.brain.signature import read_signatures
from runner.speech.brain.verdict import find_pending, judge, without_pending
from runner.speech.parts import AgentSaid, CallerSaid, Speak, ToolUsed, Turn, UseTool

TOOLS = read_signatures(
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
ASKED = AgentSaid("What is the title?", "showtimes.film")
FILM = Call("showtimes", {"film": "Alien"})


def verdict(
    *history: Turn | str, call: Call | None, is_small: bool = False
) -> UseTool | Speak | None:
    turns = [CallerSaid(t) if isinstance(t, str) else t for t in history]
    return judge(TOOLS, turns, call, is_small=is_small)


def test_a_grounded_call_stands() -> None:
    assert verdict("When is Alien on?", call=FILM) == UseTool(
        "showtimes", {"film": "Alien"}
    )


def test_a_missing_value_is_asked_for_when_the_request_is_about_the_tool() -> None:
    question = Speak("What is the title of the film?", "showtimes.film")
    assert verdict("When does the film start?", call=FILM) == question


def test_a_guess_about_something_else_is_dropped() -> None:
    assert verdict("Hello there.", call=FILM) is None


@pytest.mark.parametrize("call", [None, Call("unknown", {})])
def test_no_call_is_no_verdict(call: Call | None) -> None:
    assert verdict("When is Alien on?", call=call) is None


def test_nobody_is_hung_up_on() -> None:
    assert verdict("Thank you.", call=Call("end_call", {})) is None
    assert verdict("I'm all set.", call=Call("end_call", {})) == UseTool("end_call")


def test_a_small_model_may_not_call_what_nobody_spoke_of() -> None:
    call = Call("speak_to_staff", {"reason": "The caller said hello"})
    assert verdict("Hello.", call=call, is_small=True) is None
    assert verdict("Hello.", call=call) is not None
    assert verdict("Staff, please.", call=call, is_small=True) is not None


def test_a_question_that_fits_a_tool_without_arguments_better_goes_to_it() -> None:
    said = "Which films run today?"
    assert verdict(said, call=FILM, is_small=True) == UseTool("todays_programme")
    assert isinstance(verdict(said, call=FILM), Speak)
    assert verdict("Today was long.", call=None, is_small=True) is None


def test_the_same_call_needs_to_be_asked_for_again() -> None:
    used = ToolUsed("c", "showtimes", {"film": "Alien"}, '{"at": "19:00"}')
    assert verdict("When is Alien on?", used, "Perfect.", call=FILM) is None
    assert verdict("When is Alien on?", used, "That film again?", call=FILM) is not None
    failed = ToolUsed("c", "showtimes", {"film": "Alien"}, "timeout", is_error=True)
    assert verdict("When is Alien on?", failed, "Once more.", call=FILM) is not None


def test_the_tool_whose_value_was_asked_for_is_pending() -> None:
    history: list[Turn] = [
        CallerSaid("When is the film on?"),
        ASKED,
        CallerSaid("Alien."),
    ]
    tool = find_pending(TOOLS, history)
    assert tool is not None and tool.name == "showtimes"
    assert without_pending(TOOLS, history) is None


def test_who_turns_to_another_tool_leaves_the_pending_request() -> None:
    said = CallerSaid("Let me speak to your staff.")
    history: list[Turn] = [
        CallerSaid("Hi."),
        CallerSaid("When is the film on?"),
        ASKED,
        said,
    ]
    assert without_pending(TOOLS, history) == [CallerSaid("Hi."), said]


def test_without_a_question_nothing_is_pending() -> None:
    history: list[Turn] = [
        CallerSaid("Hi."),
        AgentSaid("Hello."),
        CallerSaid("When is Alien on?"),
    ]
    assert find_pending(TOOLS, history) is None
    assert find_pending(TOOLS, history[-1:]) is None
