"""Scenarios on the scripted service: what passes, what fails, and what is said then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.testing import Status, TestOptions, run_scenario
from runner.testing.results import describe_failure
from runner.testing.scenarios.model import LlmRule, MockAnswer, Turn, read_pattern
from tests.testing.builders import (
    AGENT,
    ORDER,
    TOOLS,
    agent_never_says,
    agent_says,
    called,
    end,
    expect,
    line_drops,
    returned,
    run,
    scenario,
    user,
    wait,
    write_agent,
)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    return write_agent(tmp_path)


PASSING: dict[str, list[Turn]] = {
    "the greeting is heard": [agent_says("how can i help")],
    "a tool is called and its result told": [
        ORDER,
        called("lookup_order", arguments={"order_id": "1234"}, within=1.0),
        agent_says("shipped", within=3.0),
    ],
    "arguments match a schema": [
        ORDER,
        called(
            "lookup_order", matching={"properties": {"order_id": {"const": "1234"}}}
        ),
    ],
    "one of several words": [ORDER, agent_says("lost", "shipped", "delivered")],
    "an expression": [agent_says("/how (can|may) i/")],
    "what is never said": [ORDER, agent_never_says("lost")],
    "an interruption silences": [
        ORDER,
        agent_says("check"),
        user("Stop", interrupts_after=0.3),
        expect(interruptions=1, silence_within=0.1, no_errors=True),
    ],
    "a dropped line is resumed": [
        line_drops(2.0),
        ORDER,
        called("lookup_order"),
        expect(resumed=True, tool_calls=("lookup_order",)),
    ],
    "nothing is resumed without a drop": [expect(resumed=False, nothing_dropped=True)],
    "no calls": [agent_says("help"), expect(tool_calls=())],
    "the agent hangs up": [user("Thanks, goodbye"), end(by="agent")],
    "the caller hangs up": [agent_says("help"), end(by="caller")],
    "time passes": [wait(30.0), ORDER, agent_says("shipped")],
    "latency": [ORDER, agent_says("shipped"), expect(latency_within=1.0)],
}


@pytest.mark.parametrize("turns", PASSING.values(), ids=PASSING)
def test_a_scenario_passes_when(agent: Path, turns: list[Turn]) -> None:
    result = run(agent, *turns)

    assert result.failure is None
    assert result.status is Status.PASSED


FAILING: dict[str, tuple[list[Turn], str, str]] = {
    "other words": (
        [agent_says("goodbye")],
        "the agent says goodbye",
        "“Hello, how can I help?”",
    ),
    "words that were to stay unsaid": (
        [ORDER, agent_never_says("/ship/")],
        "the agent never says /ship/",
        "The status is shipped.",
    ),
    "another call": (
        [ORDER, called("count_letters")],
        "a call of count_letters",
        'lookup_order({"order_id": "1234"})',
    ),
    "other arguments": (
        [ORDER, called("lookup_order", arguments={"order_id": "5678"})],
        'a call of lookup_order({"order_id": "5678"})',
        'lookup_order({"order_id": "1234"})',
    ),
    "no call": (
        [user("Hello"), called("lookup_order")],
        "a call of lookup_order",
        "no call; the agent said",
    ),
    "the same call twice": (
        [ORDER, called("lookup_order"), called("lookup_order")],
        "a call of lookup_order",
        "no call",
    ),
    "a call that succeeds": (
        [ORDER, called("lookup_order", fails=True)],
        "lookup_order fails",
        'it came to {"status":"shipped"}',
    ),
    "too late an answer": (
        [ORDER, agent_says("shipped", within=0.1)],
        "the agent answers within 0.1 s",
        "it answered after",
    ),
    "calls where none were expected": (
        [ORDER, expect(tool_calls=())],
        "no calls",
        "lookup_order",
    ),
    "an order of calls": (
        [ORDER, expect(tool_calls=("count_letters", "lookup_order"))],
        "calls of count_letters, lookup_order",
        "lookup_order",
    ),
    "an interruption that did not happen": (
        [agent_says("help"), expect(interruptions=1)],
        "1 interruption",
        "0",
    ),
    "silence without an interruption": (
        [expect(silence_within=0.1)],
        "silence within 100 ms of the interruption",
        "the agent was not interrupted",
    ),
    "a resume without a drop": (
        [expect(resumed=True)],
        "the session is resumed",
        "0 resumed, 0 begun afresh",
    ),
    "an end that does not come": ([end(by="agent")], "the agent ends the call", "60 s"),
    "an end by another": (
        [user("Thanks, goodbye"), end(by="service")],
        "the service ends the call",
        "agent: the agent hung up",
    ),
    "an interruption that comes too late": (
        [user("Stop", interrupts_after=60.0)],
        "the caller says 'Stop'",
        "the agent had finished before",
    ),
    "words after the end": (
        [user("Thanks, goodbye"), wait(10.0), user("Hello?")],
        "the caller says 'Hello?'",
        "the call was over before",
    ),
}


@pytest.mark.parametrize(("turns", "expected", "came"), FAILING.values(), ids=FAILING)
def test_a_scenario_fails_at_its_turn_on(
    agent: Path, turns: list[Turn], expected: str, came: str
) -> None:
    result = run(agent, *turns)

    assert result.status is Status.FAILED
    assert result.failure is not None
    assert result.failure.place in [turn.place for turn in turns]
    assert result.failure.expected == expected
    assert came in result.failure.came


def test_the_same_scenario_comes_to_the_same_result_each_time(agent: Path) -> None:
    turns: list[Turn] = [
        ORDER,
        agent_says("shipped"),
        line_drops(1.0),
        user("Thanks, goodbye"),
    ]

    results = [run(agent, *turns) for _ in range(3)]

    assert results[0] == results[1] == results[2]


def test_a_mock_answers_in_turn_and_by_arguments(agent: Path) -> None:
    answers = (
        returned({"status": "lost"}, match={"order_id": "5678"}),
        returned({"status": "packed"}, times=1),
        MockAnswer(raises="the service is closed", delay=1.5),
    )

    result = run(
        agent,
        *(ORDER, agent_says("packed")),
        *(user("Where is my order 5678?"), agent_says("lost")),
        *(ORDER, called("lookup_order", fails=True)),
        mock={"lookup_order": answers},
    )

    assert result.failure is None
    assert result.calls[-1].seconds == 1.5
    assert "the service is closed" in str(result.calls[-1].result)


def test_a_mock_that_is_used_up_fails_the_call(agent: Path) -> None:
    mock = {"lookup_order": (returned({"status": "packed"}, times=1),)}

    turns: list[Turn] = [
        ORDER,
        agent_says("packed"),
        ORDER,
        called("lookup_order", fails=True),
    ]
    result = run(agent, *turns, mock=mock)

    assert result.failure is None
    assert "has no matching answer left" in str(result.calls[-1].result)


def test_a_mocked_call_is_bounded_by_the_tools_timeout(agent: Path) -> None:
    mock = {"lookup_order": (returned({}, delay=60.0),)}

    result = run(agent, ORDER, called("lookup_order", fails=True), mock=mock)

    assert result.failure is None
    assert result.calls[0].seconds == 5.0


def test_arguments_of_a_mocked_tool_are_checked(agent: Path) -> None:
    brain = (
        LlmRule(user_says=(read_pattern("order"),), tool_calls=(("lookup_order", {}),)),
    )

    result = run(agent, ORDER, called("lookup_order", fails=True), llm=brain)

    assert result.failure is None
    assert "order_id" in str(result.calls[0].result)


def test_a_url_is_not_called_from_a_dry_run(agent: Path) -> None:
    result = run(agent, ORDER, agent_says(), mock={})

    assert result.status is Status.ERROR
    assert result.error is not None
    assert "lookup_order would call a URL" in result.error


def test_rules_of_the_scenario_play_the_agent(agent: Path) -> None:
    brain = (
        LlmRule(
            user_says=(read_pattern("weather"),),
            says="One moment.",
            tool_calls=(("count_letters", {"word": "sun"}),),
        ),
        LlmRule(after="count_letters", says="It has ${letters} letters."),
    )

    result = run(
        agent,
        user("How is the weather?"),
        called("count_letters", arguments={"word": "sun"}),
        agent_says("It has 3 letters."),
        llm=brain,
    )

    assert result.failure is None


def test_steps_of_a_script_are_used_in_their_order(agent: Path) -> None:
    brain = (LlmRule(says="First."), LlmRule(says="Second."))

    result = run(
        agent,
        *(user("Go on"), agent_says("First")),
        *(user("Go on"), agent_says("Second")),
        llm=brain,
    )

    assert result.failure is None


def test_faults_happen_to_the_line(agent: Path) -> None:
    result = run(
        agent,
        *(ORDER, called("lookup_order"), agent_says("shipped")),
        expect(resumed=True),
        faults=("drop on=tool.call",),
    )

    assert result.failure is None


def test_a_protected_reply_is_not_interrupted(
    tmp_path: Path,
) -> None:
    text = AGENT.replace("{interruption_delay: 300ms}", "{interruptible: false}")
    agent = write_agent(tmp_path, text)

    result = run(agent, user("Stop", interrupts_after=0.2), expect(interruptions=0))

    assert result.failure is None


def test_a_mutter_does_not_interrupt(agent: Path) -> None:
    result = run(agent, user("ha", interrupts_after=0.2), expect(interruptions=0))

    assert result.failure is None


@pytest.mark.parametrize("tool", ["count_letters", "spell_slowly"])
def test_a_real_tool_runs_on_the_virtual_clock(agent: Path, tool: str) -> None:
    rule = LlmRule(tool_calls=((tool, {"word": "sun"}),))

    result = run(agent, ORDER, called(tool), agent_says(), llm=(rule,))

    assert result.failure is None
    assert not result.calls[0].is_error


def test_a_scenario_for_another_service_is_skipped(agent: Path) -> None:
    result = run(agent, ORDER, services=("local",))

    assert result.status is Status.SKIPPED
    assert result.error == "it is for local"


def test_unsupported_options_of_a_service_are_reported(agent: Path) -> None:
    options = TestOptions(noise_db=-40.0, packet_loss=0.1)

    result = run_scenario(scenario(agent, agent_says("help")), options)

    assert result.status is Status.PASSED
    assert result.left_out == ("noise and packet loss: script uses no audio",)


def test_a_judge_that_is_not_there_is_left_out(agent: Path) -> None:
    result = run(agent, agent_says("help", judge="the agent is polite"))

    assert result.status is Status.PASSED
    assert result.left_out == ("judge: the agent is polite",)


ERRORS = {
    "no such file": (lambda path: path.unlink(), "does not exist"),
    "findings": (lambda path: path.write_text("version: 1\nname: x\n"), "has 1 error"),
    "a tool that cannot be loaded": (
        lambda path: (path.parent / "tools.py").write_text(f"{TOOLS}\n1 / 0\n"),
        "ZeroDivisionError",
    ),
}


@pytest.mark.parametrize(("spoil", "said"), ERRORS.values(), ids=ERRORS)
def test_a_scenario_that_cannot_run_is_an_error_with_a_message(
    agent: Path, spoil: object, said: str
) -> None:
    assert callable(spoil)
    spoil(agent)

    result = run(agent, ORDER)

    assert result.status is Status.ERROR
    assert result.error is not None
    assert said in result.error


def test_a_mock_of_no_tool_is_an_error(agent: Path) -> None:
    result = run(agent, ORDER, mock={"lookup_ordr": (returned({}),)})

    assert result.status is Status.ERROR
    assert result.error is not None
    assert "lookup_ordr" in result.error


def test_variables_of_the_command_line_go_before_those_of_the_scenario(
    tmp_path: Path,
) -> None:
    text = AGENT.replace("Hello,", "Hello from ${company},")
    agent = write_agent(tmp_path, text + "variables: {company: {default: Acme}}\n")
    tried = scenario(agent, agent_says("from Zenith"), variables={"company": "Nadir"})

    result = run_scenario(tried, TestOptions(variables={"company": "Zenith"}))

    assert result.failure is None


def test_unset_environment_variables_get_a_value_on_script(tmp_path: Path) -> None:
    url = 'url: "https://orders.example/{order_id}"'
    token = url + ', headers: {Authorization: "Bearer ${env:TOKEN}"}'
    agent = write_agent(tmp_path, AGENT.replace(url, token))

    assert run(agent, ORDER, agent_says("shipped")).failure is None


def test_modules_of_tools_are_fresh_in_every_call(tmp_path: Path) -> None:
    agent = write_agent(tmp_path)
    counting = (
        "COUNT = []\n\n\ndef count_letters(word: str) -> int:\n"
        '    """Count."""\n    COUNT.append(word)\n    return len(COUNT)\n\n\n'
        'def spell_slowly(word: str) -> str:\n    """Spell."""\n    return word\n'
    )
    (tmp_path / "tools.py").write_text(counting, "utf-8")
    rule = LlmRule(tool_calls=(("count_letters", {"word": "sun"}),))

    results = [run(agent, ORDER, agent_says(), llm=(rule,)) for _ in range(2)]

    assert [result.calls[0].result for result in results] == ["1", "1"]


def test_a_service_that_is_not_there_is_an_error_and_not_the_agents_fault(
    agent: Path,
) -> None:
    tried = scenario(agent, agent_says("help"))

    result = run_scenario(tried, TestOptions(service="ws://127.0.0.1:9/v1/ws"))

    assert result.status is Status.ERROR
    assert result.failure is None
    assert "cannot reach ws://127.0.0.1:9/v1/ws" in str(result.error)


def test_a_call_that_broke_off_says_why(agent: Path) -> None:
    result = run(agent, line_drops(300.0), ORDER, agent_says("shipped"))

    assert result.status is Status.FAILED
    assert result.failure is not None
    assert "the line was gone for 60 s" in result.failure.came


def test_a_failure_on_script_says_that_script_does_not_test_the_prompt(
    agent: Path,
) -> None:
    result = run(agent, user("Sing a song"), agent_says("la la"))

    assert "does not test the prompt" in (result.hint or "")
    assert "--service local" in describe_failure(result)


def test_a_failure_of_scripted_replies_has_no_hint(agent: Path) -> None:
    rules = (LlmRule(says="Tra la"),)
    tried = replace(
        scenario(agent, user("Sing a song"), agent_says("la la la")), llm=rules
    )

    result = run_scenario(tried, TestOptions())

    assert result.status is Status.FAILED
    assert result.hint is None


def test_a_reply_that_no_rule_of_the_scenario_matches_has_the_hint(agent: Path) -> None:
    rules = (LlmRule(user_says=(read_pattern("dance"),), says="Tra la"),)
    tried = replace(
        scenario(agent, user("Sing a song"), agent_says("la la la")), llm=rules
    )

    assert run_scenario(tried, TestOptions()).hint is not None


def test_a_failure_shows_utterances_and_tool_calls_in_their_order(agent: Path) -> None:
    result = run(agent, ORDER, agent_says("shipped"), user("Thanks"), agent_says("no"))

    lines = [line.strip() for line in describe_failure(result).splitlines()]
    order, *rest = (n for n, line in enumerate(lines) if line.startswith("caller:"))
    called = next(n for n, line in enumerate(lines) if line.startswith("lookup_order("))
    told = next(n for n, line in enumerate(lines) if "shipped" in line and n > called)
    assert order < called < told < rest[0]


def test_the_state_of_a_call_is_what_was_said_last_and_the_tool_that_runs(
    agent: Path,
) -> None:
    states: list[str] = []

    run_scenario(
        scenario(agent, ORDER, agent_says("shipped")), TestOptions(), 0, states.append
    )

    assert states[0] == "connected"
    assert "tool lookup_order" in states
    assert states[-1].startswith("agent: ")
    assert any(each.startswith("caller: ") for each in states)
