"""Recordings become scenarios: they load, pass, and say what they left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.protocol.client.events import Received, ToolFinished
from runner.protocol.messages import TranscriptUser
from runner.recording.format import InvalidRecording
from runner.recording.reader import Recording, read_recording
from runner.testing.runner import TestOptions, run_scenario
from runner.testing.scenarios.from_recording import scenario_from_recording
from runner.testing.scenarios.loader import load_suite
from runner.testing.scenarios.model import MockAnswer, Scenario, ToolCallTurn, UserTurn
from tests.testing.recorded_calls import CALLS, RECORDINGS

# What a fault did at its moment is in no scenario: these ask for what followed from it.
OF_FAULTS = {"spoken-on", "greeting-lost", "not-found", "answer-lost", "unanswered"}


def recorded(name: str, folder: Path) -> Recording:
    """Return a recording of the suite, its agent file lying in a folder."""
    agent = folder / "orders.yaml"
    agent.write_text(CALLS[name].agent, "utf-8")
    recording = read_recording(RECORDINGS / name)
    header = recording.header
    agent_of_record = replace(header.agent, path=str(agent))
    return replace(recording, header=replace(header, agent=agent_of_record))


def loaded(recording: Recording, folder: Path) -> tuple[str, Scenario]:
    file = folder / "orders.test.yaml"
    text = scenario_from_recording(recording, file)
    file.write_text(text, "utf-8")
    (scenario,) = load_suite(file).scenarios
    return text, scenario


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_recording_becomes_a_scenario_that_loads(name: str, tmp_path: Path) -> None:
    _, scenario = loaded(recorded(name, tmp_path), tmp_path)

    assert scenario.agent == tmp_path / "orders.yaml"


@pytest.mark.parametrize("name", sorted(set(CALLS) - OF_FAULTS))
def test_the_scenario_of_a_recording_passes(name: str, tmp_path: Path) -> None:
    _, scenario = loaded(recorded(name, tmp_path), tmp_path)

    assert run_scenario(scenario, TestOptions()).failure is None


def test_a_scenario_fails_when_the_agent_does_something_else(tmp_path: Path) -> None:
    recording = recorded("results-held", tmp_path)
    other = CALLS["results-held"].agent.replace("order desk", "complaints desk")
    _, scenario = loaded(recording, tmp_path)
    (tmp_path / "orders.yaml").write_text(other, "utf-8")

    failure = run_scenario(scenario, TestOptions()).failure

    assert failure is not None
    assert "complaints desk" in failure.came


def test_interruptions_come_when_they_came(tmp_path: Path) -> None:
    _, scenario = loaded(recorded("interrupted", tmp_path), tmp_path)

    users = [each for each in scenario.turns if isinstance(each, UserTurn)]
    assert [each.interrupts_after for each in users[:3]] == [0.5, None, 3.0]


def test_failures_of_tools_are_mocked_as_failures(tmp_path: Path) -> None:
    recording = recorded("results-held", tmp_path)
    entries = [
        (at, ToolFinished(each.call_id, '{"error":"it is closed"}', is_error=True))
        if isinstance(each, ToolFinished) and each.call_id == "call_0009"
        else (at, each)
        for at, each in recording.entries
    ]

    _, scenario = loaded(replace(recording, entries=entries), tmp_path)

    assert scenario.mock["change_order"] == (
        MockAnswer(raises="it is closed", delay=0.1),
    )


def test_answers_that_differ_come_in_their_order(tmp_path: Path) -> None:
    recording = recorded("results-held", tmp_path)
    entries = [
        (at, ToolFinished(each.call_id, '{"status":"lost"}'))
        if isinstance(each, ToolFinished) and each.call_id == "call_0015"
        else (at, each)
        for at, each in recording.entries
    ]

    _, scenario = loaded(replace(recording, entries=entries), tmp_path)

    assert scenario.mock["lookup_order"] == (
        MockAnswer({"status": "shipped"}, delay=1.0, times=1),
        MockAnswer({"status": "lost"}, delay=1.0),
    )


def test_the_end_of_the_call_is_not_a_tool_call(tmp_path: Path) -> None:
    _, scenario = loaded(recorded("results-held", tmp_path), tmp_path)

    tools = [each.tool for each in scenario.turns if isinstance(each, ToolCallTurn)]
    assert tools == ["lookup_order", "change_order", "lookup_order"]
    assert "end_call" not in scenario.mock


def test_remarks_say_what_to_loosen_and_what_is_missing(tmp_path: Path) -> None:
    recording = recorded("changed", tmp_path)
    header = replace(recording.header, is_redacted=True)

    text, _ = loaded(
        replace(recording, header=header, is_complete=False, entries=recording.entries),
        tmp_path,
    )

    assert "# all arguments; `matching:` takes a schema\n" in text
    assert "# Not in it: the agent was changed during the call.\n" in text
    assert "# The recording was cut off, and so is the scenario.\n" in text
    assert "# The recording is redacted:" in text


def test_any_text_of_a_caller_is_valid_in_yaml(tmp_path: Path) -> None:
    recording = recorded("results-held", tmp_path)
    words = "${x}: # 'no', \"yes\"\n- {a: [b]} \x07 \u2028 é"
    entries = [
        (at, Received(replace(each.message, text=words)))
        if isinstance(each, Received) and isinstance(each.message, TranscriptUser)
        else (at, each)
        for at, each in recording.entries
    ]

    _, scenario = loaded(replace(recording, entries=entries), tmp_path)

    users = [each for each in scenario.turns if isinstance(each, UserTurn)]
    assert {each.says for each in users} == {words}


def test_a_recording_that_is_cut_off_becomes_a_shorter_scenario(
    tmp_path: Path,
) -> None:
    recording = recorded("results-held", tmp_path)

    for length in range(20, len(recording.entries), 10):
        cut = replace(recording, entries=recording.entries[:length], is_complete=False)
        try:
            text, _ = loaded(cut, tmp_path)
        except InvalidRecording:
            assert length < 100
        else:
            assert "cut off" in text


def test_an_empty_call_cannot_become_a_scenario(
    tmp_path: Path,
) -> None:
    recording = replace(recorded("results-held", tmp_path), entries=[])

    with pytest.raises(InvalidRecording, match="nothing is said or done"):
        scenario_from_recording(recording, tmp_path / "orders.test.yaml")
