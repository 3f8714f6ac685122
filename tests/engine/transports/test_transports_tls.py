"""The wire through TLS, as to any real service."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from runner.errors import TransportError
from tests.engine.transports.conversation import Ear, server

# A key and a certificate for localhost, self-signed: they prove nothing.
LOCALHOST = Path(__file__).with_name("localhost.pem")


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def encrypted() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(LOCALHOST)
    return context


async def test_every_message_goes_out_at_once_and_the_socket_stays_writable(
    dialer: Any, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(LOCALHOST))  # trusted, for once
    async with server(echo, ssl=encrypted()) as url:
        await dialer(url.replace("ws://127.0.0.1", "wss://localhost"))(None, ear)
        assert ear.transport is not None
        for number in range(5):
            assert ear.transport.is_writable
            ear.write(f"{number} {'x' * 3_200}")
        await ear.until(lambda: len(ear.texts) == 5)
        await ear.close()

    assert [str(text)[0] for text in ear.texts] == ["0", "1", "2", "3", "4"]


async def test_an_untrusted_certificate_is_refused(dialer: Any, ear: Ear) -> None:
    async with server(echo, ssl=encrypted()) as url:
        with pytest.raises(TransportError, match="certificate.verify.failed"):
            await dialer(url.replace("ws://127.0.0.1", "wss://localhost"))(None, ear)
