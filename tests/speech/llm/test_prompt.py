from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.prompt import (
    MAX_RESULT,
    decision_messages,
    merge_pending,
    shorten,
    speech_messages,
    trim,
)

TOOL: dict[str, Any] = {
    "name": "find",
    "description": "Find a thing.",
    "parameters": {
        "properties": {"what": {"description": "Thing"}, "where": {"enum": ["a", "b"]}},
        "required": ["what"],
    },
}
CONTEXT = AgentContext("You are kind.", [TOOL])
turns: st.SearchStrategy[HistoryMessage] = st.one_of(
    st.builds(UserMessage, st.text(min_size=1, max_size=20)),
    st.builds(
        AssistantMessage,
        st.text(min_size=1, max_size=20),
        st.none() | st.just("find.x"),
    ),
    st.builds(SystemMessage, st.text(min_size=1, max_size=20)),
    st.builds(
        ToolMessage,
        st.just("c"),
        st.just("find"),
        st.just({"what": "x"}),
        st.none() | st.text(max_size=20),
        st.booleans(),
    ),
)


@given(st.lists(turns, max_size=10))
def test_roles_alternate_and_the_caller_is_last(history: list[HistoryMessage]) -> None:
    for messages in (
        speech_messages(CONTEXT, history),
        decision_messages(CONTEXT, history),
    ):
        roles = [message["role"] for message in messages]
        assert roles[0] == "system"
        assert all(role == "user" for role in roles[1::2])
        assert all(role == "assistant" for role in roles[2::2])
    assert speech_messages(CONTEXT, history)[-1]["role"] == "user"


@given(st.lists(turns, max_size=8), turns)
def test_the_prefix_never_changes(
    history: list[HistoryMessage], turn: HistoryMessage
) -> None:
    for build in (speech_messages, decision_messages):
        assert build(CONTEXT, history)[0] == build(CONTEXT, [*history, turn])[0]


def test_the_two_prompts_begin_differently() -> None:
    deciding = decision_messages(CONTEXT)[0]["content"]
    speaking = speech_messages(CONTEXT)[0]["content"]
    assert deciding[:4] != speaking[:4]


def test_a_tool_is_described_with_its_arguments() -> None:
    system = decision_messages(CONTEXT)[0]["content"]
    assert "- find(what: Thing, where?: a|b): Find a thing." in system


def test_chat_is_left_out_of_a_decision_and_calls_are_kept() -> None:
    history: list[HistoryMessage] = [
        UserMessage("Hello."),
        AssistantMessage("Hi!"),
        UserMessage("Find my hat."),
        ToolMessage("c", "find", {"what": "hat"}, '{"at": "home"}'),
        AssistantMessage("It is at home."),
        UserMessage("And my coat?"),
    ]
    texts = [message["content"] for message in decision_messages(CONTEXT, history)[1:]]
    assert texts == [
        "Find my hat.",
        '{"tool": "find", "arguments": {"what": "hat"}}',
        '(find returned: {"at": "home"})\nAnd my coat?',
    ]


def test_a_bare_yes_keeps_the_question_before_it() -> None:
    history: list[HistoryMessage] = [
        UserMessage("I lost my hat."),
        AssistantMessage("Shall I find it?"),
        UserMessage("Yes, please."),
    ]
    messages = decision_messages(CONTEXT, history)
    assert [message["role"] for message in messages[1:]] == [
        "user",
        "assistant",
        "user",
    ]


def test_a_request_is_joined_with_all_values_that_were_asked_for() -> None:
    history: list[HistoryMessage] = [
        UserMessage("A table."),
        AssistantMessage("For how many?", "book.people"),
        UserMessage("Three."),
        AssistantMessage("When?", "book.time"),
        UserMessage("At six."),
    ]
    assert merge_pending(history) == [UserMessage("A table. Three. At six.")]


def test_an_ordinary_question_joins_nothing() -> None:
    history: list[HistoryMessage] = [
        UserMessage("Hi."),
        AssistantMessage("How are you?"),
        UserMessage("Fine."),
    ]
    assert merge_pending(history) == history


def test_a_long_result_is_cut_and_white_space_goes() -> None:
    assert shorten('{\n  "a":   1\n}') == '{"a": 1}'
    assert len(shorten("x " * 5_000)) == MAX_RESULT


@given(st.lists(turns, min_size=1, max_size=30), st.integers(0, 400))
def test_trimming_keeps_the_end(history: list[HistoryMessage], room: int) -> None:
    kept = trim(history, room)
    assert 1 <= len(kept) <= len(history)
    assert list(kept) == history[-len(kept) :]


def test_trimming_begins_with_the_caller_and_leaves_room_for_some_turns() -> None:
    pair: list[HistoryMessage] = [UserMessage("x" * 90), AssistantMessage("y" * 90)]
    history = [*pair * 20, UserMessage("z")]
    kept = trim(history, 2_000)
    assert isinstance(kept[0], UserMessage)
    assert 3 <= len(kept) <= 12
