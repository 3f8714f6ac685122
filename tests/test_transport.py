"""The connection itself, against real servers on this machine."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from runner.errors import (
    AuthenticationRejected,
    ConnectionLost,
    TransportError,
    UsageError,
)
from runner.transport import MAX_MESSAGE_BYTES, Dialer


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def address(server: object) -> str:
    port = server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # the library's Server, imported for nothing else
    return f"ws://127.0.0.1:{port}/"


async def test_text_goes_there_and_comes_back() -> None:
    async with serve(echo, "127.0.0.1", 0) as server:
        transport = await Dialer(address(server))()
        await transport.send("hello ü")
        assert await transport.receive() == "hello ü"
        await transport.close()


async def test_the_token_is_sent_in_place_of_the_key() -> None:
    seen: list[str | None] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.headers.get("Authorization"))

    async with serve(note, "127.0.0.1", 0) as server:
        dial = Dialer(address(server), lambda: "key")
        for token in (None, "token"):
            transport = await dial(token)
            with pytest.raises(ConnectionLost):
                await transport.receive()
            await transport.close()

    assert seen == ["Bearer key", "Bearer token"]


async def test_compression_is_not_negotiated() -> None:
    offered: list[str | None] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        offered.append(connection.request.headers.get("Sec-WebSocket-Extensions"))

    async with serve(note, "127.0.0.1", 0) as server:
        await (await Dialer(address(server))()).close()

    assert offered == [None]


async def test_a_close_tells_its_code_and_reason() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(1008, "no")

    async with serve(close, "127.0.0.1", 0) as server:
        transport = await Dialer(address(server))()
        with pytest.raises(ConnectionLost) as caught:
            await transport.receive()

    assert caught.value.code == 1008
    assert "no" in caught.value.message


async def test_a_message_beyond_the_limit_is_not_read() -> None:
    async def flood(connection: ServerConnection) -> None:
        await connection.send(json.dumps("x" * MAX_MESSAGE_BYTES))

    async with serve(flood, "127.0.0.1", 0) as server:
        transport = await Dialer(address(server))()
        with pytest.raises(ConnectionLost) as caught:
            await transport.receive()

    assert caught.value.code == 1009


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthenticationRejected), (403, TransportError)]
)
async def test_a_refused_upgrade_says_whether_the_key_is_to_blame(
    status: int, error: type[TransportError]
) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(status, "no")

    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        with pytest.raises(TransportError, match=str(status)) as caught:
            await Dialer(address(server))()

    assert type(caught.value) is error


async def test_an_address_that_is_none_is_wrong_usage() -> None:
    with pytest.raises(UsageError):
        await Dialer("http://127.0.0.1/")()


async def test_the_key_never_reaches_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        async with serve(echo, "127.0.0.1", 0, logger=_silent()) as server:
            transport = await Dialer(address(server), lambda: "sk-secret")()
            await transport.send("x")
            await transport.receive()
            await transport.close()
            await asyncio.sleep(0)

    assert "sk-secret" not in caplog.text


def _silent() -> logging.Logger:
    logger = logging.getLogger("tests.silent")
    logger.propagate = False
    return logger
