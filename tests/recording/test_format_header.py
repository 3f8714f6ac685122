from __future__ import annotations

import dataclasses
import json

import pytest

from runner.protocol.client.config import ClientConfig, IdlePolicy, Timeouts
from runner.protocol.client.tool_calls import ToolPolicy
from runner.recording.format import (
    Header,
    InvalidRecording,
    RecordedAgent,
    read_header,
    write_header,
)

FULL = Header(
    agent=RecordedAgent("tester", "agents/tester.yaml", "0" * 64),
    service="a stand-in",
    config=ClientConfig(
        session={"system_prompt": "You test.", "tools": [{"name": "look"}]},
        tools={"look": ToolPolicy(terminal=True, on_interrupt="finish")},
        immediate_results=True,
        max_duration=90.0,
        one_minute_left="One minute.",
        idle=IdlePolicy(5.0, "Still there?", 20.0),
        carry_over=True,
        patience=Timeouts(1.0, 2.0, 3.0),
    ),
    seed=2**32 - 1,
    started="2026-01-02T03:04:05.678+00:00",
    vagent="1.2.3",
    python="3.11.9",
    platform="Linux",
    variables={"company": "Acme"},
    has_sound=False,
    is_redacted=True,
)


def test_a_header_comes_back_as_it_was() -> None:
    assert read_header(json.loads(json.dumps(write_header(FULL)))) == FULL


def test_the_test_above_is_about_every_field() -> None:
    plain = Header(FULL.agent, "", ClientConfig(), 0, "", "", "", "")
    unsaid = {
        field.name
        for field in dataclasses.fields(Header)
        if getattr(FULL, field.name) == getattr(plain, field.name)
    }
    assert unsaid == {"agent", "version"}


def test_what_a_later_version_adds_is_left_out() -> None:
    line = json.loads(json.dumps(write_header(FULL)))
    for part in (line, line["agent"], line["config"], line["config"]["idle"]):
        part["added"] = "later"

    assert read_header(line) == FULL


@pytest.mark.parametrize("key", ["agent", "config", "service", "seed"])
def test_a_header_without_what_it_must_have_is_refused(key: str) -> None:
    line = write_header(FULL)
    del line[key]

    with pytest.raises(InvalidRecording, match="invalid"):
        read_header(line)


@pytest.mark.parametrize("key", ["service", "started", "vagent", "python", "platform"])
def test_what_must_be_text_is_text(key: str) -> None:
    with pytest.raises(InvalidRecording, match=f"is invalid: '{key}' is not text"):
        read_header({**write_header(FULL), key: 5})


def test_an_agent_without_a_name_of_letters_is_refused() -> None:
    agent = {"name": None, "path": "x.yaml", "sha256": "0"}
    with pytest.raises(InvalidRecording, match="is invalid: 'name' is not text"):
        read_header({**write_header(FULL), "agent": agent})
