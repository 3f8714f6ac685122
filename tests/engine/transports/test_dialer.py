"""Opening connections, against real servers on this machine."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from runner.errors import AuthenticationRejected, TransportError, UsageError
from tests.engine.transports.conversation import Ear, raw_server, server


async def say_nothing(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def test_the_token_is_sent_in_place_of_the_key(dialer: Any) -> None:
    seen: list[str | None] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.headers.get("Authorization"))

    async with server(note) as url:
        dial = dialer(url, key=lambda: "key")
        for token in (None, "token"):
            ear = Ear()
            await dial(token, ear)
            await ear.loss()

    assert seen == ["Bearer key", "Bearer token"]


async def test_compression_is_not_negotiated(dialer: Any, ear: Ear) -> None:
    offered: list[str | None] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        offered.append(connection.request.headers.get("Sec-WebSocket-Extensions"))

    async with server(note) as url:
        await dialer(url)(None, ear)
        await ear.loss()

    assert offered == [None]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationRejected), (403, TransportError), (502, TransportError)],
)
async def test_a_refused_upgrade_says_whether_the_key_is_to_blame(
    dialer: Any, ear: Ear, status: int, error: type[TransportError]
) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(status, "no")

    async with server(say_nothing, process_request=refuse) as url:
        with pytest.raises(TransportError, match=str(status)) as caught:
            await dialer(url)(None, ear)

    assert type(caught.value) is error
    assert ear.transport is None
    assert ear.errors == []


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "ws:///nowhere", "nonsense"])
async def test_an_address_that_is_none_is_wrong_usage(dialer: Any, url: str) -> None:
    with pytest.raises(UsageError, match="is not a WebSocket address"):
        await dialer(url)(None, Ear())


async def test_an_address_without_a_listener_cannot_be_reached(dialer: Any) -> None:
    async with raw_server(lambda reader, writer: asyncio.sleep(0)) as url:
        pass

    with pytest.raises(TransportError, match="cannot reach ws://"):
        await dialer(url)(None, Ear())


async def test_a_server_that_speaks_something_else_cannot_be_reached(
    dialer: Any,
) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()

    async with raw_server(greet) as url:
        with pytest.raises(TransportError, match="cannot reach ws://"):
            await dialer(url)(None, Ear())


async def test_a_try_that_is_given_up_leaves_no_socket_open(dialer: Any) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def never_answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        gone.set()

    async with raw_server(never_answer) as url:
        options = asyncio.create_task(dialer(url)(None, Ear()))
        await asked.wait()
        options.cancel()

        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_proxy_of_the_environment_is_asked_for_the_tunnel(
    dialer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async def tunnel(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        await writer.drain()

    for name in ("no_proxy", "NO_PROXY", "ws_proxy", "socks_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with raw_server(tunnel) as url:
        monkeypatch.setenv("https_proxy", url.replace("ws:", "http:"))
        monkeypatch.setenv("http_proxy", url.replace("ws:", "http:"))
        with pytest.raises(TransportError, match=r"cannot reach ws://service\.test"):
            await dialer("ws://service.test/v1/ws")(None, Ear())

    assert asked[0].startswith(b"CONNECT service.test:80 HTTP/1.1\r\n")


async def test_the_key_never_reaches_the_log(
    dialer: Any, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(connection: ServerConnection) -> None:
        await connection.send("x")

    silent = logging.Logger("silent", logging.CRITICAL)
    with caplog.at_level(1):
        async with server(answer, logger=silent) as url:
            dial = dialer(url, key=lambda: "sk-secret")
            await dial(None, ear)
            await ear.loss()

    assert "sk-secret" not in caplog.text
    assert "sk-secret" not in repr(dial)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_the_service_is_not_followed(
    dialer: Any, status: int
) -> None:
    reached: list[str] = []

    async def target(connection: ServerConnection) -> None:
        reached.append("target")

    async with server(target) as other:

        def redirect(connection: ServerConnection, request: Request) -> Response:
            response = connection.respond(status, "")
            response.headers["Location"] = other
            return response

        async with server(say_nothing, process_request=redirect) as url:
            with pytest.raises(TransportError, match="redirects"):
                await dialer(url, key=lambda: "key")(None, Ear())

    assert not reached
