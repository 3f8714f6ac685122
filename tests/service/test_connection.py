"""The queue of a conversation's messages."""

from __future__ import annotations

from runner.service.connection import Outbox


async def taken(outbox: Outbox) -> list[str]:
    return [text async for text in outbox]


async def test_messages_sent_before_the_close_are_read_in_order() -> None:
    outbox = Outbox(lambda: None)
    outbox.send("one")
    outbox.send("two")
    outbox.close(1008)
    outbox.close(1000)

    assert await taken(outbox) == ["one", "two"]
    assert outbox.code == 1008


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    cut: list[bool] = []
    outbox = Outbox(lambda: cut.append(True))
    for number in range(6_000):
        outbox.send(str(number))
    assert not cut

    outbox.send("too much")
    outbox.close(1000)

    assert cut
    assert len(await taken(outbox)) == 6_000


async def test_a_client_with_many_large_unread_messages_is_cut_off() -> None:
    cut: list[bool] = []
    outbox = Outbox(lambda: cut.append(True))
    large = "x" * 2**22
    for _ in range(8):
        outbox.send(large)
    assert not cut

    outbox.send("too much")
    outbox.close(1000)

    assert cut
    assert await taken(outbox) == [large] * 8


async def test_read_messages_do_not_count() -> None:
    cut: list[bool] = []
    outbox = Outbox(lambda: cut.append(True))
    reading = aiter(outbox)
    for _ in range(20):
        outbox.send("x" * 2**22)
        await anext(reading)

    assert not cut
