"""A cut connection: both ends are notified, and new connections are refused."""

from __future__ import annotations

import asyncio

import pytest

from runner.errors import ConnectionLost, TransportError
from runner.testing.impairments import CuttableConnection
from tests.fakes import FakeDialer, FakeTransport


class Ear:
    """A listener that records its events."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def opened(self, transport: object) -> None:
        self.heard.append("opened")

    def received(self, text: str | bytes) -> None:
        self.heard.append(f"received {text!r}")

    def writable(self) -> None:
        self.heard.append("writable")

    def lost(self, error: ConnectionLost) -> None:
        self.heard.append(f"lost: {error.message}")


async def test_a_line_that_is_not_cut_lets_everything_through() -> None:
    transport, ear = FakeTransport(), Ear()
    line = CuttableConnection(FakeDialer(transport))
    await line("a token", ear)

    transport.peer_says("hello")
    transport.drop()
    await _turn()

    assert ear.heard == ["opened", "received 'hello'", "lost: the line was lost"]


async def test_a_cut_is_a_loss_and_nothing_is_heard_after_it() -> None:
    transport, ear = FakeTransport(), Ear()
    line = CuttableConnection(FakeDialer(transport))
    await line(None, ear)

    line.cut(0.0)
    transport.peer_says("too late")
    transport.drop()
    await _turn()

    assert ear.heard == ["opened", "lost: the line was lost"]
    assert transport.is_closed


async def test_connections_are_refused_until_the_cut_is_over() -> None:
    line = CuttableConnection(FakeDialer(FakeTransport(), FakeTransport()))
    await line(None, Ear())

    line.cut(60.0)
    with pytest.raises(TransportError, match="the line is cut"):
        await line(None, Ear())

    line.cut(0.0)
    again = Ear()
    await line(None, again)
    assert again.heard == ["opened"]


async def test_a_line_that_was_lost_before_is_not_lost_twice() -> None:
    transport, ear = FakeTransport(), Ear()
    line = CuttableConnection(FakeDialer(transport))
    await line(None, ear)
    transport.drop()
    await _turn()

    line.cut(0.0)

    assert ear.heard.count("lost: the line was lost") == 1


async def _turn() -> None:
    """Let what was called soon be called."""
    for _ in range(3):
        await asyncio.sleep(0)
