"""HTTP requests to the local service through real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from websockets.exceptions import InvalidStatus

from runner.service.app import LocalService
from tests.service.test_app import connected, serving


def root(server: LocalService) -> str:
    return server.url.replace("ws:", "http:").removesuffix("/v1/ws")


async def raw(server: LocalService, data: bytes) -> tuple[int, dict[str, Any]]:
    """Sends data as it is; returns status and JSON of the answer."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/v1/agents", {"json": {"greeting": None}}, 422),
        ("POST", "/v1/agents", {"content": b"x" * 3_000_000}, 422),
        ("PUT", "/v1/agents/a", {"json": {"a": 1}}, 405),
        ("DELETE", "/v1/agents/a", {}, 405),
        ("POST", "/v1/phone-numbers", {"json": {}}, 404),
        ("GET", "/", {}, 404),
        ("POST", "/v1/token", {}, 405),
        ("POST", "/v1/token", {"json": {}}, 405),
        ("GET", "/v1/token", {}, 422),
        ("GET", "/v1/ws", {}, 426),
        ("POST", "/v1/ws", {"json": {}}, 405),
    ],
)
async def test_every_request_is_answered_with_json(
    method: str, path: str, options: Any, status: int
) -> None:
    async with serving() as server, httpx.AsyncClient() as http:
        answer = await http.request(method, root(server) + path, **options)

    assert answer.status_code == status
    assert "detail" in answer.json()


async def test_a_body_in_chunks_is_answered() -> None:
    async def body() -> Any:
        for _ in range(3):
            yield b"{}"

    async with serving() as server, httpx.AsyncClient() as http:
        answer = await http.post(root(server) + "/v1/agents", content=body())

    assert answer.status_code == 422


async def test_options_answers_a_page_of_this_machine() -> None:
    origin = "http://localhost:3000"
    async with serving() as server, httpx.AsyncClient() as http:
        answer = await http.options(
            root(server) + "/v1/token", headers={"Origin": origin}
        )

    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization"


async def test_head_is_answered_without_a_body() -> None:
    async with serving() as server, httpx.AsyncClient() as http:
        answer = await http.head(root(server) + "/v1/token")

    assert (answer.status_code, answer.content) == (405, b"")


async def test_what_is_not_a_request_is_answered() -> None:
    async with serving() as server:
        status, answer = await raw(server, b"HELLO\r\n\r\n")

    assert status == 400
    assert "Invalid request" in answer["detail"]


async def test_an_incomplete_handshake_is_answered_with_json() -> None:
    async with serving() as server:
        status, answer = await raw(
            server,
            b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )

    assert status == 400
    assert "Sec-WebSocket-Key" in answer["detail"]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Host": "rebind.evil.example"}],
)
async def test_strange_pages_get_neither_a_token_nor_a_session(
    headers: dict[str, str],
) -> None:
    async with serving() as server, httpx.AsyncClient() as http:
        answer = await http.get(
            root(server) + "/v1/token?expires_in_seconds=60",
            headers={"Authorization": "x", **headers},
        )
        status, refusal = await raw(
            server,
            "".join(
                [
                    "GET /v1/ws HTTP/1.1\r\n",
                    *([] if "Host" in headers else ["Host: localhost\r\n"]),
                    *(f"{name}: {value}\r\n" for name, value in headers.items()),
                    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
                    "Sec-WebSocket-Version: 13\r\n",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                ]
            ).encode(),
        )

    assert answer.status_code == status == 403
    assert "is not allowed" in answer.json()["detail"]
    assert "is not allowed" in refusal["detail"]


async def test_allowed_pages_get_a_session() -> None:
    origin: Any = "https://app.example.com"
    async with serving(origins=[origin]) as server:
        for each in (origin, "http://localhost:3000"):
            async with connected(server, origin=each) as client:
                assert await client.open()
        with pytest.raises(InvalidStatus):
            await websockets.connect(server.url, origin="https://evil.example")  # type: ignore[arg-type]


async def test_a_handshake_in_pieces_opens_a_session() -> None:
    handshake = (
        b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with serving() as server:
        address = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for at in range(len(handshake)):
            writer.write(handshake[at : at + 1])
            await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        writer.close()
