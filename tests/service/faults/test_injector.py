"""Faults over real sockets, as a client of the local service sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from runner.service.app import LocalService
from runner.service.faults.parser import parse_fault
from tests.service.client import Client
from tests.service.scripted import ScriptedSpeech
from tests.service.test_app import LINES, TOOL, connected, decide

GREETING = "Hello, and welcome to this call."


class Operator:
    """Collects the faults that the server reports."""

    def __init__(self) -> None:
        self.faults: list[dict[str, Any]] = []

    def report(self, kind: str, facts: Any) -> None:
        if kind == "vagent.fault":
            self.faults.append(dict(facts))

    @property
    def did(self) -> list[str]:
        return [fault["did"] for fault in self.faults]


@asynccontextmanager
async def misbehaving(
    *specs: str, seed: int = 0, report: Callable[[str, Any], None] | None = None
) -> AsyncIterator[LocalService]:
    faults = [parse_fault(spec) for spec in specs]
    speech = ScriptedSpeech(LINES, decide)
    async with (
        asyncio.timeout(20),
        LocalService(speech, report=report, faults=faults, fault_seed=seed) as server,
    ):
        yield server


async def rest(client: Client) -> list[str]:
    """Returns the types of the messages until the connection ends."""
    try:
        while True:
            await client.read()
    except ConnectionClosed:
        return client.kinds()


async def test_a_dropped_connection_ends_without_a_closing_frame() -> None:
    operator = Operator()
    async with (
        misbehaving("drop on=reply.audio:3", report=operator.report) as server,
        connected(server) as client,
    ):
        await client.open(greeting=GREETING)
        kinds = await rest(client)

    assert client.socket.close_code == 1006
    assert kinds.count("reply.audio") == 3
    [fault] = operator.faults
    assert fault["fault"] == "drop on=reply.audio:3"
    assert fault["did"] == "dropped the connection"
    assert fault["at"] >= 0


async def test_a_connection_can_be_reset() -> None:
    async with (
        misbehaving("drop on=session.ready how=reset") as server,
        connected(server) as client,
    ):
        # A reset may overtake what was sent before it.
        with pytest.raises(ConnectionClosed) as lost:
            await client.open()
            await client.read()

    assert client.socket.close_code == 1006
    assert isinstance(lost.value.__cause__, ConnectionResetError)


async def test_a_dropped_session_is_resumed_and_not_dropped_again() -> None:
    async with misbehaving("drop on=reply.started") as server:
        async with connected(server) as client:
            ready = await client.open(greeting=GREETING)
            await rest(client)
        async with connected(server) as client:
            await client.send("session.resume", session_id=ready["session_id"])
            await client.until("session.ready")
            await client.send("reply.create")
            assert await client.until("reply.done")


@pytest.mark.parametrize("code", [1001, 1008, 1011])
async def test_a_closed_connection_has_the_code(code: int) -> None:
    async with (
        misbehaving(f"close code={code} on=reply.started") as server,
        connected(server) as client,
    ):
        await client.open(greeting=GREETING)
        kinds = await rest(client)

    assert client.socket.close_code == code
    assert kinds[-1] == "reply.started"


async def test_a_time_drops_the_connection() -> None:
    async with (
        misbehaving("drop at=100ms") as server,
        connected(server) as client,
    ):
        await client.open()
        await rest(client)

    assert client.socket.close_code == 1006


async def test_an_outage_resets_connections_until_it_ends() -> None:
    operator = Operator()
    spec = "outage on=session.ready for=300ms"
    async with misbehaving(spec, report=operator.report) as server:
        async with connected(server) as client:
            ready = await client.open()
            await rest(client)
        while True:
            try:
                async with connected(server) as client:
                    await client.send("session.resume", session_id=ready["session_id"])
                    await client.until("session.ready")
                break
            except (InvalidMessage, OSError):
                await asyncio.sleep(0.05)

    assert client.seen[0]["session_id"] == ready["session_id"]
    assert operator.did[0] == "dropped all connections, for 0.3 s"
    assert "reset a new connection" in operator.did


async def test_a_refused_upgrade_has_the_status() -> None:
    async with misbehaving("refuse status=502 times=2") as server:
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused:
                await websockets.connect(server.url)
            assert refused.value.response.status_code == 502
        async with connected(server) as client:
            assert await client.open()


async def test_a_half_open_connection_sends_nothing_and_answers_no_ping() -> None:
    async with (
        misbehaving("half-open on=session.ready for=500ms") as server,
        connected(server) as client,
    ):
        await client.open(greeting=GREETING)
        pong = asyncio.ensure_future(await client.socket.ping())
        kinds = await rest(client)
        assert not pong.done() or pong.exception() is not None

    assert kinds == ["session.updated", "session.ready"]
    assert client.socket.close_code == 1006


async def test_a_session_resumes_from_a_half_open_connection() -> None:
    async with (
        misbehaving("half-open on=session.ready") as server,
        connected(server) as old,
    ):
        ready = await old.open()
        token = {"Authorization": f"Bearer {ready['resume_token']}"}
        async with connected(server, additional_headers=token) as new:
            await new.send("session.resume", session_id=ready["session_id"])
            assert (await new.read())["session_id"] == ready["session_id"]
            await rest(old)
            assert old.socket.close_code == 1006
            await new.send("session.end")
            await new.until("session.ended")


async def test_a_slow_connection_keeps_the_order_and_the_end() -> None:
    async with (
        misbehaving("slow by=20ms jitter=30ms") as server,
        connected(server) as client,
    ):
        await client.open(greeting="Hello.")
        await client.until("reply.done")
        await client.send("session.end")
        kinds = await rest(client)

    assert kinds[:3] == ["session.updated", "session.ready", "reply.started"]
    assert kinds[-2:] == ["reply.done", "session.ended"]
    assert client.socket.close_code == 1000


async def test_bursts_deliver_everything() -> None:
    async with (
        misbehaving("burst period=200ms") as server,
        connected(server) as client,
    ):
        await client.open(greeting="Hello.")
        await client.until("reply.done")
        kinds = client.kinds()

    assert kinds[:3] == ["session.updated", "session.ready", "reply.started"]


async def test_a_late_message_is_overtaken() -> None:
    async with (
        misbehaving("late on=reply.started by=600ms") as server,
        connected(server) as client,
    ):
        await client.open(greeting=GREETING)
        await client.until("reply.started")

    assert "reply.audio" in client.kinds()


async def test_a_duplicated_call_arrives_twice() -> None:
    async with (
        misbehaving("duplicate on=tool.call") as server,
        connected(server) as client,
    ):
        await client.open(tools=[TOOL])
        await ask(client)
        first = await client.until("tool.call")
        second = await client.until("tool.call")

    assert first == second


async def test_messages_change_places() -> None:
    async with (
        misbehaving("reorder on=session.updated") as server,
        connected(server) as client,
    ):
        await client.open()
        await client.until("session.updated")

    assert client.kinds() == ["session.ready", "session.updated"]


async def test_a_lost_result_is_not_answered() -> None:
    operator = Operator()
    async with (
        misbehaving("lose on=tool.result", report=operator.report) as server,
        connected(server) as client,
    ):
        await client.open(tools=[TOOL])
        await ask(client)
        call = await client.until("tool.call")
        await client.until("reply.done")
        await client.send("tool.result", call_id=call["call_id"], result="1")
        await client.send("session.update", session={"system_prompt": "x"})
        await client.until("session.updated")
        seen = len(client.seen)
        await client.send("session.end")
        await client.until("session.ended")

    assert client.kinds()[seen:] == ["session.ended"]
    assert operator.did == ["lost tool.result"]


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ("error code=at_capacity phase=opening", 1008),
        ("error code=internal_error phase=opening", 1011),
        ("error code=UNAUTHORIZED phase=opening", 1008),
    ],
)
async def test_an_error_answers_the_first_message(spec: str, code: int) -> None:
    async with misbehaving(spec) as server, connected(server) as client:
        await client.send("session.update", session={})
        kinds = await rest(client)
        assert client.socket.close_code == code

        async with connected(server) as again:
            assert await again.open()

    assert kinds == ["session.error"]
    assert client.seen[0]["code"] in spec
    assert isinstance(client.seen[0]["timestamp"], float)


async def test_an_error_answers_a_resume() -> None:
    async with misbehaving("error code=session_expired phase=resume") as server:
        async with connected(server) as client:
            ready = await client.open()
            client.socket.transport.abort()
        async with connected(server) as client:
            await client.send("session.resume", session_id=ready["session_id"])
            assert (await client.read())["code"] == "session_expired"
            assert await client.closed() == 1008


async def test_a_live_session_survives_an_error_that_does_not_end_it() -> None:
    async with (
        misbehaving('error code=invalid_value message="no good" phase=live') as server,
        connected(server) as client,
    ):
        await client.open()
        error = await client.read()
        await client.send("session.end")
        await client.until("session.ended")

    assert (error["code"], error["message"]) == ("invalid_value", "no good")


@pytest.mark.parametrize(
    "form", ["text", "truncated", "nested", "array", "untyped", "mistyped", "binary"]
)
async def test_garbage_is_sent_once_and_the_session_continues(form: str) -> None:
    async with (
        misbehaving(f"garbage on=session.ready form={form}") as server,
        connected(server) as client,
    ):
        await client.open()
        said = await client.socket.recv()
        await client.send("session.end")
        await client.until("session.ended")

    assert isinstance(said, bytes) is (form == "binary")


async def test_a_flood_arrives_at_once() -> None:
    async with (
        misbehaving("flood on=reply.audio count=10000 of=copies") as server,
        connected(server) as client,
    ):
        await client.open(greeting="Hello.")
        await client.until("reply.done")

    assert client.kinds().count("reply.audio") > 10_000


async def test_a_silenced_reply_starts_and_the_next_one_has_audio() -> None:
    async with misbehaving("silence") as server, connected(server) as client:
        await client.open(greeting="Hello.")
        await client.send("reply.create")
        await client.until("reply.done")

    kinds = client.kinds()
    assert kinds[2:4] == ["reply.started", "reply.started"]
    assert "reply.audio" in kinds[4:]


@pytest.mark.parametrize(
    ("spec", "code"), [("slow by=1m", 1001), ("half-open on=session.updated", 1006)]
)
async def test_a_server_can_stop_during_a_fault(spec: str, code: int) -> None:
    async with misbehaving(spec) as server:
        client = Client(await websockets.connect(server.url))
        await client.send("session.update", session={})
        if spec.startswith("half-open"):
            await client.until("session.updated")
    assert await client.closed() == code


async def test_a_client_can_disconnect_before_messages_in_flight() -> None:
    async with misbehaving("slow by=200ms direction=down") as server:
        for _ in range(2):
            async with connected(server) as client:
                await client.open()
                await client.send("session.end")


async def test_faults_on_one_connection_do_not_affect_others() -> None:
    async with (
        misbehaving("drop on=reply.started") as server,
        connected(server) as first,
        connected(server) as second,
    ):
        await second.open()
        await first.open(greeting=GREETING)
        await rest(first)
        await second.send("reply.create")
        assert await second.until("reply.done")


async def ask(client: Client) -> None:
    words = {"role": "user", "content": "Where is my order?"}
    await client.send("conversation.message", **words)
    await client.send("reply.create")
