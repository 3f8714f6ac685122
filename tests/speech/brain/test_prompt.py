from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.speech.brain.prompt import (
    LONGEST_RESULT,
    decision_messages,
    merge_pending,
    shorten,
    speech_messages,
    trim,
)
from runner.speech.parts import (
    AgentBrief,
    AgentSaid,
    CallerSaid,
    Instruction,
    ToolUsed,
    Turn,
)

TOOL: dict[str, Any] = {
    "name": "find",
    "description": "Find a thing.",
    "parameters": {
        "properties": {"what": {"description": "Thing"}, "where": {"enum": ["a", "b"]}},
        "required": ["what"],
    },
}
BRIEF = AgentBrief("You are kind.", [TOOL])
turns: st.SearchStrategy[Turn] = st.one_of(
    st.builds(CallerSaid, st.text(min_size=1, max_size=20)),
    st.builds(
        AgentSaid, st.text(min_size=1, max_size=20), st.none() | st.just("find.x")
    ),
    st.builds(Instruction, st.text(min_size=1, max_size=20)),
    st.builds(
        ToolUsed,
        st.just("c"),
        st.just("find"),
        st.just({"what": "x"}),
        st.none() | st.text(max_size=20),
        st.booleans(),
    ),
)


@given(st.lists(turns, max_size=10))
def test_roles_alternate_and_the_caller_is_last(history: list[Turn]) -> None:
    for messages in (
        speech_messages(BRIEF, history),
        decision_messages(BRIEF, history),
    ):
        roles = [message["role"] for message in messages]
        assert roles[0] == "system"
        assert all(role == "user" for role in roles[1::2])
        assert all(role == "assistant" for role in roles[2::2])
    assert speech_messages(BRIEF, history)[-1]["role"] == "user"


@given(st.lists(turns, max_size=8), turns)
def test_the_beginning_never_changes(history: list[Turn], turn: Turn) -> None:
    for build in (speech_messages, decision_messages):
        assert build(BRIEF, history)[0] == build(BRIEF, [*history, turn])[0]


def test_the_two_prompts_begin_differently() -> None:
    deciding = decision_messages(BRIEF)[0]["content"]
    speaking = speech_messages(BRIEF)[0]["content"]
    assert deciding[:4] != speaking[:4]


def test_a_tool_is_described_with_its_arguments() -> None:
    system = decision_messages(BRIEF)[0]["content"]
    assert "- find(what: Thing, where?: a|b): Find a thing." in system


def test_chat_is_left_out_of_a_decision_and_calls_are_kept() -> None:
    history: list[Turn] = [
        CallerSaid("Hello."),
        AgentSaid("Hi!"),
        CallerSaid("Find my hat."),
        ToolUsed("c", "find", {"what": "hat"}, '{"at": "home"}'),
        AgentSaid("It is at home."),
        CallerSaid("And my coat?"),
    ]
    texts = [message["content"] for message in decision_messages(BRIEF, history)[1:]]
    assert texts == [
        "Find my hat.",
        '{"tool": "find", "arguments": {"what": "hat"}}',
        '(find returned: {"at": "home"})\nAnd my coat?',
    ]


def test_a_bare_yes_keeps_the_question_before_it() -> None:
    history: list[Turn] = [
        CallerSaid("I lost my hat."),
        AgentSaid("Shall I find it?"),
        CallerSaid("Yes, please."),
    ]
    messages = decision_messages(BRIEF, history)
    assert [message["role"] for message in messages[1:]] == [
        "user",
        "assistant",
        "user",
    ]


def test_a_request_is_joined_with_all_values_that_were_asked_for() -> None:
    history: list[Turn] = [
        CallerSaid("A table."),
        AgentSaid("For how many?", "book.people"),
        CallerSaid("Three."),
        AgentSaid("When?", "book.time"),
        CallerSaid("At six."),
    ]
    assert merge_pending(history) == [CallerSaid("A table. Three. At six.")]


def test_an_ordinary_question_joins_nothing() -> None:
    history: list[Turn] = [
        CallerSaid("Hi."),
        AgentSaid("How are you?"),
        CallerSaid("Fine."),
    ]
    assert merge_pending(history) == history


def test_a_long_result_is_cut_and_white_space_goes() -> None:
    assert shorten('{\n  "a":   1\n}') == '{"a": 1}'
    assert len(shorten("x " * 5_000)) == LONGEST_RESULT


@given(st.lists(turns, min_size=1, max_size=30), st.integers(0, 400))
def test_trimming_keeps_the_end(history: list[Turn], room: int) -> None:
    kept = trim(history, room)
    assert 1 <= len(kept) <= len(history)
    assert list(kept) == history[-len(kept) :]


def test_trimming_begins_with_the_caller_and_leaves_room_for_some_turns() -> None:
    pair: list[Turn] = [CallerSaid("x" * 90), AgentSaid("y" * 90)]
    history = [*pair * 20, CallerSaid("z")]
    kept = trim(history, 2_000)
    assert isinstance(kept[0], CallerSaid)
    assert 3 <= len(kept) <= 12
