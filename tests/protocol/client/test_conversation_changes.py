"""Changes to a running session."""

from __future__ import annotations

from typing import Any

import pytest

from runner.protocol.client.conversation import (
    ConfigChanges,
    Configuration,
    changed_fields,
    fixed_changes,
)
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import SessionError

BEFORE: dict[str, Any] = {
    "system_prompt": "Be brief.",
    "greeting": "Hi.",
    "input": {"keyterms": ["Acme"], "turn_detection": {"vad_threshold": 0.5}},
    "output": {"voice": "alba"},
    "tools": [{"name": "look"}],
}


def configuration(**changes: Any) -> Configuration:
    return Configuration({**BEFORE, **changes}, {"look": ToolPolicy()})


def running() -> ConfigChanges:
    changes = ConfigChanges(configuration())
    changes.first(greets=True)
    assert not changes.acknowledge()
    return changes


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, {}),
        ({"system_prompt": "New."}, {"system_prompt": "New."}),
        ({"tools": []}, {"tools": []}),
        ({"greeting": "Ho."}, {}),
        ({"output": {"voice": "eve"}}, {}),
        ({"output": {"voice": "alba", "volume": 50}}, {"output": {"volume": 50}}),
        (
            {"input": {"keyterms": ["A"], "turn_detection": {"vad_threshold": 0.9}}},
            {"input": {"keyterms": ["A"], "turn_detection": {"vad_threshold": 0.9}}},
        ),
        (
            {"input": {"turn_detection": {"vad_threshold": 0.5}}},
            {"input": {"keyterms": []}},
        ),
    ],
)
def test_only_what_differs_and_may_change_is_sent(
    change: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert changed_fields(BEFORE, {**BEFORE, **change}) == fields


def test_a_volume_that_is_taken_back_is_full_again() -> None:
    quiet = {**BEFORE, "output": {"voice": "alba", "volume": 50}}

    assert changed_fields(quiet, BEFORE) == {"output": {"volume": 100}}


def test_tools_that_are_taken_away_are_sent_as_none() -> None:
    without = {key: value for key, value in BEFORE.items() if key != "tools"}

    assert changed_fields(BEFORE, without) == {"tools": []}


@pytest.mark.parametrize(
    ("change", "fixed"),
    [
        ({"system_prompt": "New."}, []),
        ({"output": {"voice": "alba", "volume": 5}}, []),
        (
            {"greeting": "Ho.", "output": {"voice": "eve"}},
            ["the greeting", "the voice"],
        ),
        ({"input": {"keyterms": ["Acme"]}}, ["turn_detection"]),
        ({"input": {"keyterms": [], "turn_detection": {}}}, ["vad_threshold"]),
    ],
)
def test_what_has_to_wait_for_the_next_session_is_named(
    change: dict[str, Any], fixed: list[str]
) -> None:
    assert fixed_changes(BEFORE, {**BEFORE, **change}) == fixed


def test_a_change_holds_once_it_is_acknowledged() -> None:
    changes = running()
    wanted = configuration(system_prompt="New.")
    changes.request(wanted)

    assert changes.is_due
    assert changes.send() == {"system_prompt": "New."}
    assert not changes.is_due
    assert changes.current != wanted
    assert changes.acknowledge()
    assert changes.current == wanted
    assert not changes.acknowledge()


def test_a_change_that_is_refused_leaves_everything_as_it_was() -> None:
    changes = running()
    before = changes.current
    changes.request(configuration(tools=[{"name": ""}]))
    changes.send()

    assert not changes.refuse(SessionError("invalid_audio"))
    assert changes.refuse(SessionError("INVALID_VALUE"))
    assert changes.latest is before
    assert not changes.is_due


def test_an_error_without_a_sent_change_is_not_a_refusal() -> None:
    changes = running()
    changes.request(configuration(system_prompt="New."))

    assert not changes.refuse(SessionError("invalid_value"))
    assert changes.is_due


def test_a_second_change_waits_for_the_first_and_takes_back_what_it_did() -> None:
    changes = running()
    changes.request(configuration(system_prompt="New."))
    changes.send()
    changes.request(configuration())

    assert not changes.is_due
    changes.acknowledge()
    assert changes.is_due
    assert changes.send() == {"system_prompt": "Be brief."}


def test_an_unconfirmed_change_is_sent_whole_after_a_drop() -> None:
    changes = running()
    changes.request(configuration(system_prompt="New."))
    changes.send()
    changes.connection_lost()

    assert changes.is_due
    fields = changes.send()
    assert fields["system_prompt"] == "New."
    assert fields["tools"] == BEFORE["tools"]
    assert "greeting" not in fields


def test_a_fresh_session_has_the_configuration_as_it_is_wanted_now() -> None:
    changes = running()
    changes.request(configuration(system_prompt="New.", output={"voice": "eve"}))

    session = changes.first(greets=False)

    assert session["system_prompt"] == "New."
    assert session["output"] == {"voice": "eve"}
    assert "greeting" not in session
    assert changes.acknowledge()
