from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.client.actions import CancelTool, Notify, RunTool, Send
from runner.protocol.client.events import Received, Say, ToolFinished
from runner.protocol.messages import (
    ConversationMessage,
    ReplyCreate,
    ReplyDone,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
    Unknown,
)
from runner.recording.format import Entry
from runner.recording.redaction import redact, redact_text
from tests.recording.strategies import ENTRY


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("order 1234, please", "order ####, please"),
        ("٤٢ and ４２", "## and ##"),
        ("mail jane.doe+x@mail.example.org!", "mail [e-mail]!"),
        ("it is jane dot doe at example dot co dot uk", "it is [e-mail]"),
        ("Jane AT example DOT org", "[e-mail]"),
        ("meet me at the dot", "meet me at the dot"),
        ("twelve thirty four", "[number]"),
        ("Four-two, oh seven and nine", "[number]"),
        ("double two", "[number]"),
        ("one moment, someone", "one moment, someone"),
        ("nineteen hundred and one", "[number]"),
        ("", ""),
    ],
)
def test_numbers_and_addresses_are_redacted_and_words_are_not(
    text: str, redacted: str
) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    ("entry", "redacted"),
    [
        (Say("call 112"), Say("call ###")),
        (Notify("call 112"), Notify("call ###")),
        (
            ToolFinished("call_1", '{"id": 12.5}'),
            ToolFinished("call_1", '{"id": ##.#}'),
        ),
        (
            RunTool(ToolCall("call_1", "look2", {"id": [7], "is": True})),
            RunTool(ToolCall("call_1", "look2", {"id": ["#"], "is": True})),
        ),
        (
            Received(TranscriptUser("room 5", "item_1", 17.5)),
            Received(TranscriptUser("room #", "item_1", 17.5)),
        ),
        (
            Received(TranscriptAgent("room 5", "reply_1")),
            Received(TranscriptAgent("room #", "reply_1")),
        ),
        (
            Received(TranscriptUserDelta("it is jane")),
            Received(TranscriptUserDelta("## ## ####")),
        ),
        (
            Received(TranscriptAgentDelta(" twelve")),
            Received(TranscriptAgentDelta(" ######")),
        ),
        (
            Received(ToolCall("call_1", "look", {"id": 7})),
            Received(ToolCall("call_1", "look", {"id": "#"})),
        ),
        (
            Received(Unknown("new.kind2", {"n": 7})),
            Received(Unknown("new.kind2", {"n": "#"})),
        ),
        (Send(ToolResult("call_1", "7")), Send(ToolResult("call_1", "#"))),
        (
            Send(ConversationMessage("user", "7")),
            Send(ConversationMessage("user", "#")),
        ),
        (Send(ReplyCreate("say 7")), Send(ReplyCreate("say #"))),
        (Send(ReplyCreate()), Send(ReplyCreate())),
        # Texts of the author, and identifiers.
        (
            Send(SessionUpdate({"system_prompt": "7"})),
            Send(SessionUpdate({"system_prompt": "7"})),
        ),
        (Received(ReplyDone("reply_7")), Received(ReplyDone("reply_7"))),
        (CancelTool("call_7"), CancelTool("call_7")),
    ],
)
def test_what_was_said_is_redacted_and_what_names_things_is_not(
    entry: Entry, redacted: Entry
) -> None:
    assert redact(entry) == redacted


@given(ENTRY)
def test_what_was_redacted_stays_as_it_is(entry: Entry) -> None:
    once = redact(entry)

    assert type(once) is type(entry)
    assert redact(once) == once


@given(st.text())
def test_no_digit_is_ever_left(text: str) -> None:
    assert not re.search(r"\d", redact_text(text))


@pytest.mark.parametrize("piece", ["a", "a.", "a dot ", "one ", "one-", "a at ", "1"])
def test_a_long_text_takes_no_longer_than_its_length(piece: str) -> None:
    """With quadratic time, this would take hours."""
    text: Any = redact_text(piece * 100_000)

    assert text
