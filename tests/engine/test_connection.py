"""The line over connections that the test plays: what waits, what gives way, what is
heard of a connection that was dropped."""

from __future__ import annotations

import asyncio
from typing import Any

from runner.engine.connection import (
    OUTBOX_AUDIO_BYTES,
    Connection,
    ConnectionStats,
    Outbox,
)
from runner.errors import TransportError
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    MalformedMessage,
    Received,
)
from runner.protocol.messages import (
    InputAudio,
    InputSpeechStarted,
    SessionEnd,
    SessionUpdate,
    ToolResult,
)
from tests.fakes import FakeDialer, FakeTransport


async def opened(
    *connections: FakeTransport | TransportError,
) -> tuple[Connection, Any]:
    """Return a line on the first connection, and what it posted."""
    events: list[Event] = []
    line = Connection(FakeDialer(*connections), events.append)
    async with asyncio.TaskGroup() as tasks:
        line.open(None, tasks)
    return line, events


def kinds(wire: FakeTransport) -> list[str]:
    return [message["type"] for message in wire.sent]


async def test_what_is_sent_is_written_before_send_returns() -> None:
    wire = FakeTransport()
    line, _ = await opened(wire)

    line.send(SessionEnd())

    assert kinds(wire) == ["session.end"]


async def test_a_full_socket_makes_messages_wait_and_then_go_in_order() -> None:
    wire = FakeTransport()
    line, _ = await opened(wire)
    wire.stall()
    line.send(SessionUpdate())
    line.send(InputAudio(b"\1\0"))
    line.send(SessionEnd())
    assert wire.sent == []

    wire.flow()

    assert kinds(wire) == ["session.update", "input.audio", "session.end"]
    assert (line.counts.stalls, line.counts.dropped_frames) == (1, 0)


async def test_a_slow_upload_drops_the_oldest_audio_and_nothing_else() -> None:
    wire = FakeTransport()
    line, _ = await opened(wire)
    wire.stall()
    for number in range(100):
        line.send(InputAudio(bytes([number, 0]).ljust(960, b"\0")))
        line.send(SessionUpdate({"number": number}))

    wire.flow()

    audio = [message for message in wire.sent if message["type"] == "input.audio"]
    assert len(audio) == OUTBOX_AUDIO_BYTES // 960 == 15
    assert audio[-1]["audio"].startswith("YwAA")  # the 100th frame: what was said last
    assert kinds(wire).count("session.update") == 100
    assert line.counts.dropped_frames == 100 - 15
    assert line.counts.dropped_bytes == (100 - 15) * 960


async def test_a_socket_that_fills_up_again_while_the_outbox_empties_stops_it() -> None:
    class Narrow(FakeTransport):
        def write(self, text: str) -> None:
            super().write(text)
            self.stall()

    wire = Narrow()
    line, _ = await opened(wire)
    for number in range(3):
        line.send(SessionUpdate({"number": number}))
    assert len(wire.sent) == 1

    wire.flow()
    assert len(wire.sent) == 2

    wire.flow()
    assert [message["session"]["number"] for message in wire.sent] == [0, 1, 2]


async def test_a_loss_reports_what_was_never_sent_and_counts_the_audio_as_dropped() -> (
    None
):
    first, second = FakeTransport(), FakeTransport()
    line, events = await opened(first, second)
    result = ToolResult("call_1", "1")
    line.send(ToolResult("call_0", "0"))
    first.stall()
    line.send(InputAudio(b"\1\0"))
    line.send(result)

    first.drop()
    await asyncio.sleep(0)
    async with asyncio.TaskGroup() as tasks:
        line.open(None, tasks)

    assert events[1] == Disconnected("the line was lost", unsent=[result])
    assert line.counts.dropped_frames == 1
    assert second.sent == []


async def test_messages_are_posted_in_the_callback_in_which_they_come() -> None:
    wire = FakeTransport()
    _, events = await opened(wire)

    wire.peer_says(InputSpeechStarted(1.5))
    await asyncio.sleep(0)

    assert events == [Connected(), Received(InputSpeechStarted(1.5))]


async def test_garbage_is_counted_and_survived() -> None:
    wire = FakeTransport()
    line, events = await opened(wire)

    wire.peer_says("{", '{"type":"reply.audio"}', InputSpeechStarted(1.5))
    await asyncio.sleep(0)

    assert [type(event) for event in events] == [
        Connected,
        MalformedMessage,
        MalformedMessage,
        Received,
    ]
    assert line.counts.malformed_messages == 2


async def test_a_loss_is_posted_with_its_code() -> None:
    wire = FakeTransport()
    _, events = await opened(wire)

    wire.drop(1011)
    await asyncio.sleep(0)

    assert events[1:] == [Disconnected("the line was lost", 1011, unsent=[])]


async def test_a_connection_that_cannot_be_made_is_a_disconnect() -> None:
    _, events = await opened(TransportError("nobody there"))

    assert events == [Disconnected("nobody there")]


async def test_nothing_more_is_heard_of_a_connection_once_another_is_opened() -> None:
    first, second = FakeTransport(), FakeTransport()
    line, events = await opened(first, second)
    async with asyncio.TaskGroup() as tasks:
        line.open(None, tasks)

    first.peer_says(InputSpeechStarted())
    first.drop()
    await asyncio.sleep(0)

    assert first.is_closed
    assert events == [Connected(), Connected()]
    assert line.counts.connections == 2


async def test_closing_closes_the_connection_and_hears_no_more_of_it() -> None:
    wire = FakeTransport()
    line, events = await opened(wire)

    await line.close()
    wire.drop()
    await asyncio.sleep(0)

    assert wire.is_closed
    assert events == [Connected()]


async def test_closing_a_line_that_was_never_opened_is_fine() -> None:
    await Connection(FakeDialer(), lambda event: None).close()


def test_the_outbox_drops_the_oldest_audio_and_never_a_control_message() -> None:
    counts = ConnectionStats()
    outbox = Outbox(counts)
    for number in range(6 + 3):
        outbox.put(InputAudio(bytes([number]) * 2_400))
        outbox.put(SessionEnd())

    taken = [outbox.take() for _ in range(len(outbox))]

    assert counts.dropped_frames == 3
    sound = [message.pcm[0] for message in taken if isinstance(message, InputAudio)]
    assert sound == list(range(3, 6 + 3))
    assert taken.count(SessionEnd()) == 6 + 3
