"""The queue of messages that faults let through."""

from __future__ import annotations

import asyncio

from runner.service.connection import FaultySocket


async def test_messages_are_read_in_order_and_then_the_end() -> None:
    wire = FaultySocket()
    wire.send("a")
    wire.send(b"b")
    wire.close(1011)
    wire.close(1000)

    assert [data async for data in wire] == ["a", b"b"]
    assert (wire.is_closing, wire.code) == (True, 1011)


async def test_a_flood_is_accepted_but_leaves_no_room_until_it_is_read() -> None:
    wire = FaultySocket()
    await wire.room()
    for _ in range(1_000):
        wire.send("x")
    waiting = asyncio.create_task(wire.room())
    reader = aiter(wire)
    for _ in range(500):
        await anext(reader)
    assert not waiting.done()
    for _ in range(500):
        await anext(reader)
    await waiting
