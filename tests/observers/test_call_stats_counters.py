"""The counters of a call, fed like the engine feeds them."""

from __future__ import annotations

from pathlib import Path

from runner.observers.call_stats import CounterObserver, Counters
from runner.observers.events import CallInterpreter
from runner.protocol.client.actions import Action
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import (
    Connected,
    Event,
    MalformedMessage,
    MicFrame,
    Received,
    Say,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import (
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    ToolCall,
    Unknown,
)

SOUND = bytes(4800)  # 0.1 s


def observed(*events: tuple[float, Event]) -> CounterObserver:
    session = ClientSession(ClientConfig())
    observer = CounterObserver(session)
    interpreter = CallInterpreter(observer.note)

    def see(now: float, what: Event | Action) -> None:
        interpreter.observe(now, what)
        observer.observe(now, what)

    def note(actions: list[Action], now: float) -> None:
        for action in actions:
            see(now, action)

    note(session.start(0.0), 0.0)
    ready: list[tuple[float, Event]] = [
        (0.0, Connected()),
        (0.0, Received(SessionReady("s"))),
    ]
    for now, event in (*ready, *events):
        see(now, event)
        note(session.feed(event, now), now)
    return observer


def test_messages_and_audio_are_counted_in_both_directions() -> None:
    observer = observed(
        (1.0, MicFrame(bytes(2400))),
        (1.0, Received(ReplyStarted("r"))),
        (1.0, Received(ReplyAudio(SOUND, "r"))),
    )

    assert (observer.messages_sent, observer.messages_received) == (2, 3)
    assert (observer.bytes_sent, observer.bytes_received) == (2400, 4800)
    assert observer.bytes_ignored == 0


def test_audio_after_the_end_of_its_reply_is_counted_as_ignored() -> None:
    observer = observed(
        (1.0, Received(ReplyStarted("r"))),
        (1.0, Received(ReplyAudio(SOUND, "r"))),
        (1.0, Received(ReplyDone("r", "interrupted"))),
        (1.0, Received(ReplyAudio(SOUND, "r"))),
    )

    assert observer.bytes_ignored == 4800


def test_malformed_and_unknown_messages_are_counted() -> None:
    observer = observed(
        (1.0, MalformedMessage("x")), (1.0, Received(Unknown("brand.new", {})))
    )

    assert observer.messages_malformed == observer.messages_unknown == 1
    assert observer.messages_received == 3


def test_tool_calls_are_counted_by_outcome() -> None:
    observer = observed(
        (1.0, Received(ReplyStarted("r"))),
        (1.0, Received(ToolCall("a", "look", {}))),
        (1.0, Received(ToolCall("b", "look", {}))),
        (1.0, ToolFinished("a", '{"error":"no"}', is_error=True)),
        (1.0, Received(ReplyDone("r", "interrupted"))),
        (2.0, ToolFinished("b", "1")),
    )

    assert observer.tool_calls_run == 2
    assert observer.tool_calls_failed == 1
    assert observer.tool_calls_cancelled == 1
    assert observer.tool_calls_late == 1


def test_only_a_reply_that_is_requested_again_counts_as_retried() -> None:
    observer = observed(
        (1.0, Say("hello")),
        (12.0, Tick()),
        (13.0, Say("are you there?")),
        (14.0, Received(ReplyStarted("r"))),
        (14.0, Received(ReplyAudio(SOUND, "r"))),
        (14.0, Received(ReplyDone("r"))),
        (15.0, Say("and now?")),
        (26.0, Tick()),
    )

    assert observer.replies_retried == 2


def test_the_names_in_json_match_the_documentation() -> None:
    path = Path(__file__).parents[2] / "docs" / "reference" / "json-output.md"
    page = path.read_text("utf-8")
    table = page[page.index("| counter | meaning |") : page.index("## Other commands")]
    for name in Counters().as_dict():
        assert f"`{name}`" in table, name


def test_seconds_are_rounded_to_milliseconds() -> None:
    told = Counters(connection_lost_seconds=1.23456, connection_drops=1).as_dict()

    assert (told["connection_lost_seconds"], told["connection_drops"]) == (1.235, 1)
