"""Announcements of the local voice are shown as the agent in the chat."""

from __future__ import annotations

from runner.cli.views.chat.state import ChatState
from runner.cli.views.chat.transcript import AgentMessageEntry
from runner.protocol.client.actions import Announce, Play, StopPlayback
from tests.cli.views.chat.calls import feed

SECOND = b"\0\x10" * 24_000


def announced() -> ChatState:
    model = ChatState()
    feed(model, 1.0, Announce("One moment."))
    feed(model, 1.0, Play(SECOND))
    return model


def test_they_are_open_during_playback_and_final_after() -> None:
    model = announced()

    assert model.transcript.take_finished(1.5) == []
    [words] = model.transcript.take_finished(9.0)
    assert isinstance(words, AgentMessageEntry)
    assert words.shown(9.0) == ("One moment.", "")
    assert not words.is_interrupted


def test_a_caller_who_speaks_over_them_interrupts_them() -> None:
    model = announced()

    feed(model, 1.5, StopPlayback())

    [words] = model.transcript.take_finished(9.0)
    assert isinstance(words, AgentMessageEntry)
    assert words.is_interrupted


def test_two_announcements_are_two_entries() -> None:
    model = announced()
    feed(model, 4.0, Announce("Still looking."))
    feed(model, 4.0, Play(SECOND))

    said = [
        each.shown(9.0)[0]
        for each in model.transcript.take_all()
        if isinstance(each, AgentMessageEntry)
    ]
    assert said == ["One moment.", "Still looking."]
