"""Lifetime of dropped sessions, through real sockets.

The loop can skip time: the grace period is half a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from runner.service.app import LocalService
from runner.service.sessions import default_max_sessions
from tests.service.client import Client
from tests.service.scripted import ScriptedSpeech
from tests.service.test_app import LINES, connected, decide


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def skip(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SkippingLoop)
    loop.ahead += seconds


def run(story: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(story)


async def drop(client: Client) -> None:
    client.socket.transport.abort()
    await client.socket.wait_closed()


async def dropped(server: LocalService) -> str:
    """Returns the ID of a session whose connection the server has seen drop."""
    async with connected(server) as client:
        ready = await client.open()
        await drop(client)
    # A round trip over another connection: the server has seen the first one end.
    async with connected(server) as client:
        await client.open()
        await client.send("session.end")
        await client.until("session.ended")
    session_id: str = ready["session_id"]
    return session_id


async def answer_to_resume(server: LocalService, session_id: str) -> str:
    async with connected(server) as client:
        await client.send("session.resume", session_id=session_id)
        message = await client.read()
        await drop(client)
        return str(message.get("code", message["type"]))


def test_a_dropped_session_is_kept_for_half_a_minute() -> None:
    async def story() -> None:
        async with LocalService(ScriptedSpeech(LINES, decide)) as server:
            session_id = await dropped(server)
            skip(29)
            assert await answer_to_resume(server, session_id) == "session.ready"

            session_id = await dropped(server)
            skip(31)
            assert await answer_to_resume(server, session_id) == "session_not_found"

    run(story())


def test_a_resumed_session_outlives_its_old_grace_period() -> None:
    async def story() -> None:
        async with LocalService(ScriptedSpeech(LINES, decide)) as server:
            session_id = await dropped(server)
            async with connected(server) as client:
                await client.send("session.resume", session_id=session_id)
                await client.until("session.ready")
                skip(31)
                await client.send("session.update", session={"system_prompt": "x"})
                await client.until("session.updated")
                await client.send("session.end")
                await client.until("session.ended")

    run(story())


def test_a_connection_without_a_session_is_closed() -> None:
    async def story() -> None:
        async with (
            LocalService(ScriptedSpeech(LINES, decide)) as server,
            connected(server) as silent,
            connected(server) as chatty,
        ):
            await chatty.send("dance")
            await chatty.read()
            skip(31)
            for client in (silent, chatty):
                assert (await client.read())["code"] == "session_expired"
                assert await client.closed() == 1008

    run(story())


def test_a_connection_with_a_session_may_be_silent() -> None:
    async def story() -> None:
        async with (
            LocalService(ScriptedSpeech(LINES, decide)) as server,
            connected(server) as client,
        ):
            await client.open()
            skip(31)
            await client.send("session.end")
            assert (await client.read())["type"] == "session.ended"

    run(story())


async def test_large_dropped_sessions_make_room_for_new_ones() -> None:
    async with LocalService(ScriptedSpeech(LINES, decide), max_sessions=9) as server:
        ids = []
        for _ in range(11):
            async with connected(server, max_size=None) as client:
                ready = await client.open(system_prompt="x" * 3_500_000)
                ids.append(ready["session_id"])
                await drop(client)
        last = await dropped(server)

        assert await answer_to_resume(server, ids[0]) == "session_not_found"
        assert await answer_to_resume(server, last) == "session.ready"


def test_every_machine_holds_at_least_two_sessions() -> None:
    assert default_max_sessions() >= 2


async def test_the_oldest_of_too_many_dropped_sessions_is_closed() -> None:
    async with LocalService(ScriptedSpeech(LINES, decide), max_sessions=2) as server:
        ids = [await dropped(server) for _ in range(20)]

        assert await answer_to_resume(server, ids[0]) == "session_not_found"
        assert await answer_to_resume(server, ids[-1]) == "session.ready"
