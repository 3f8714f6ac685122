from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ToolError
from runner.tools.http_client import (
    AddressRefused,
    HttpClient,
    HttpResponse,
    Request,
    RequestBuilder,
    open_context,
)
from tests.tools.farend import FarEnd, Received, answer, far_end

Fetch = Callable[..., Awaitable[HttpResponse]]
PEM = Path(__file__).parent / "tls" / "shop.pem"


@pytest.fixture
async def end() -> AsyncIterator[FarEnd]:
    async with far_end() as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return open_context()


def request_to(url: str, method: str = "GET", **arguments: Any) -> Request:
    headers = {"Authorization": "Bearer k3y-of-the-shop"}
    return RequestBuilder(method, url, headers, {}).build(arguments)


async def fetch(
    request: Request,
    context: ssl.SSLContext,
    *,
    host: str = "127.0.0.1",
    allow_private: bool = True,
    retries: int = 0,
    timeout: float = 20,  # noqa: ASYNC109 - the tool's own, handed on
    **options: Any,
) -> HttpResponse:
    fetcher = HttpClient(
        host,
        allow_private=allow_private,
        retries=retries,
        timeout=timeout,
        context=context,
        **options,
    )
    try:
        return await fetcher.fetch(request)
    finally:
        await fetcher.close()


async def test_a_request_arrives_as_built(end: FarEnd, context: ssl.SSLContext) -> None:
    got = await fetch(request_to(f"{end.url}/o?a=1", "POST", b="é"), context)

    (received,) = end.requests
    assert (received.method, received.target) == ("POST", "/o?a=1")
    assert received.body.decode() == '{"b":"é"}'
    assert received.headers["authorization"] == "Bearer k3y-of-the-shop"
    assert got == HttpResponse(200, "OK", "application/json", None, b"{}")


async def test_a_query_in_the_url_is_kept(end: FarEnd, context: ssl.SSLContext) -> None:
    await fetch(request_to(f"{end.url}/o?a=1", tags=["x", "y"]), context)

    assert end.requests[0].target == "/o?a=1&tags=x&tags=y"


async def test_a_redirect_on_the_same_host_is_followed(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    def handler(received: Received) -> bytes:
        if received.target == "/new":
            return answer(b'"there"')
        return answer(b"", status="302 Found", headers="Location: /new\r\n")

    end.handler = handler

    assert (await fetch(request_to(f"{end.url}/old"), context)).body == b'"there"'


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:1/",
        "https://example.com/",
        "//example.com/",
        "ftp://x/",
        "http:///",
    ],
)
async def test_a_redirect_to_another_host_is_not_followed(
    end: FarEnd, context: ssl.SSLContext, location: str
) -> None:
    end.handler = lambda _: answer(
        b"", status="302 Found", headers=f"Location: {location}\r\n"
    )

    with pytest.raises(ToolError, match="redirects to another host|failed"):
        await fetch(request_to(f"{end.url}/old"), context)
    assert len(end.requests) == 1


@pytest.mark.parametrize("status", ["301", "302", "303"])
async def test_a_write_that_would_become_a_read_is_an_error(
    end: FarEnd, context: ssl.SSLContext, status: str
) -> None:
    end.handler = lambda _: answer(
        b"", status=f"{status} Moved", headers="Location: /new\r\n"
    )

    with pytest.raises(ToolError, match=rf"redirected the POST \({status}\)"):
        await fetch(request_to(f"{end.url}/old", "POST"), context)

    assert len(end.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_redirect_that_keeps_the_method_is_followed(
    end: FarEnd, context: ssl.SSLContext, method: str
) -> None:
    def handler(received: Received) -> bytes:
        if received.target.startswith("/new"):
            return answer(b"{}")
        return answer(b"", status="307 Moved", headers="Location: /new\r\n")

    end.handler = handler
    await fetch(request_to(f"{end.url}/old", method, a="b"), context)

    assert [each.method for each in end.requests] == [method, method]


async def test_an_endless_redirect_is_an_error(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    end.handler = lambda _: answer(b"", status="302 Found", headers="Location: /x\r\n")

    with pytest.raises(ToolError, match="redirects too often"):
        await fetch(request_to(end.url), context)
    assert len(end.requests) == 4


async def stream_for_ever(received: Received) -> bytes:
    received.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        received.writer.write(b"x" * 65536)
        await received.writer.drain()


async def test_an_endless_response_is_an_error(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    end.handler = stream_for_ever

    with pytest.raises(ToolError, match="answered with more than 256 KiB"):
        await fetch(request_to(end.url), context)


async def test_an_endless_slow_response_times_out(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    async def trickle(received: Received) -> bytes:
        received.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            received.writer.write(b"x")
            await received.writer.drain()
            await asyncio.sleep(0.01)  # the pace of the trickle

    end.handler = trickle

    with pytest.raises(ToolError, match="did not answer in time"):
        await fetch(request_to(end.url), context, timeout=0.2)


@pytest.mark.parametrize("size", [10_000_000, 2_000_000_000 // 100])
async def test_a_gzip_bomb_is_not_decompressed(
    end: FarEnd, context: ssl.SSLContext, size: int
) -> None:
    bomb = gzip.compress(b"\0" * size)
    end.handler = lambda _: answer(bomb, headers="Content-Encoding: gzip\r\n")

    with pytest.raises(ToolError, match="more than 256 KiB"):
        await fetch(request_to(end.url), context)


async def test_a_compressed_response_is_decompressed(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    body = b'{"text": "' + b"long " * 1000 + b'"}'
    end.handler = lambda _: answer(
        gzip.compress(body), headers="Content-Encoding: gzip\r\n"
    )

    assert (await fetch(request_to(end.url), context)).body == body
    assert end.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("coding", "reason"), [("br", "encoding nobody asked for"), ("gzip", "broken data")]
)
async def test_a_response_that_cannot_be_decompressed_is_an_error(
    end: FarEnd, context: ssl.SSLContext, coding: str, reason: str
) -> None:
    end.handler = lambda _: answer(b"xx", headers=f"Content-Encoding: {coding}\r\n")

    with pytest.raises(ToolError, match=reason):
        await fetch(request_to(end.url), context)


@pytest.mark.parametrize("reply", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
async def test_a_server_without_http_is_an_error(
    end: FarEnd, context: ssl.SSLContext, reply: bytes
) -> None:
    end.handler = lambda _: reply

    with pytest.raises(ToolError, match=r"talking to 127\.0\.0\.1:\d+ failed"):
        await fetch(request_to(end.url), context)


async def test_an_unreachable_port_is_an_error(context: ssl.SSLContext) -> None:
    async with far_end() as gone:
        url = gone.url

    with pytest.raises(ToolError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        await fetch(request_to(url), context)


async def test_a_request_to_an_overloaded_service_is_retried(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    end.handler = lambda _: (
        answer(b"{}") if len(end.requests) > 2 else answer(b"", status="503 Busy")
    )

    got = await fetch(request_to(end.url), context, retries=2)

    assert (got.status, len(end.requests)) == (200, 3)


@pytest.mark.parametrize(
    "after", ["0", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 -0000"]
)
async def test_a_read_is_retried_when_the_service_says_after_what_time(
    end: FarEnd, context: ssl.SSLContext, after: str
) -> None:
    def handler(received: Received) -> bytes:
        if len(end.requests) > 1:
            return answer(b"{}")
        return answer(b"", status="429 Slow Down", headers=f"Retry-After: {after}\r\n")

    end.handler = handler

    assert (await fetch(request_to(end.url), context, retries=1)).status == 200


@pytest.mark.parametrize("header", ["", "Retry-After: 3600\r\n", "Retry-After: x\r\n"])
async def test_a_read_is_not_retried_too_soon(
    end: FarEnd, context: ssl.SSLContext, header: str
) -> None:
    end.handler = lambda _: answer(b"", status="429 Slow Down", headers=header)

    assert (await fetch(request_to(end.url), context, retries=2)).status == 429
    assert len(end.requests) == 1


@pytest.mark.parametrize("padding", [b"", b"\0" * 9])
async def test_all_members_of_a_compressed_response_are_decompressed(
    end: FarEnd, context: ssl.SSLContext, padding: bytes
) -> None:
    body = gzip.compress(b'{"a":') + gzip.compress(b"1}") + padding
    end.handler = lambda _: answer(body, headers="Content-Encoding: gzip\r\n")

    assert (await fetch(request_to(end.url), context)).body == b'{"a":1}'


async def test_a_truncated_compressed_response_is_an_error(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    body = gzip.compress(b'{"a": 1}')[:-6]
    end.handler = lambda _: answer(body, headers="Content-Encoding: gzip\r\n")

    with pytest.raises(ToolError, match="broken data"):
        await fetch(request_to(end.url), context)


@pytest.mark.parametrize(
    ("method", "status", "asked"),
    [("GET", "503 Busy", 2), ("POST", "503 Busy", 1), ("GET", "500 Oops", 1)],
)
async def test_only_idempotent_requests_are_retried(
    end: FarEnd, context: ssl.SSLContext, method: str, status: str, asked: int
) -> None:
    end.handler = lambda _: answer(b"", status=status)

    got = await fetch(request_to(end.url, method), context, retries=1)

    assert (got.status, len(end.requests)) == (int(status[:3]), asked)


async def test_this_machine_is_refused_unless_allowed(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    with pytest.raises(ToolError, match="not on the public internet") as refused:
        await fetch(request_to(end.url), context, allow_private=False)

    assert "allow_private" in str(refused.value.hint)
    assert end.requests == []


async def test_an_unknown_host_is_an_error(context: ssl.SSLContext) -> None:
    with pytest.raises(ToolError, match=r"the host nowhere\.invalid cannot be found"):
        await fetch(
            request_to("http://nowhere.invalid/"),
            context,
            host="nowhere.invalid",
            allow_private=False,
        )


async def loopback(host: str, port: int) -> list[str]:
    """Resolve every host to this machine; the server listens on the second address."""
    return ["127.0.0.2", "127.0.0.1"]


async def test_the_connection_goes_to_an_address_that_was_checked(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    url = end.url.replace("127.0.0.1", "shop.example")

    await fetch(
        request_to(url), context, host="shop.example", allow_private=False,
        resolve=loopback,
    )  # fmt: skip

    assert end.requests[0].headers["host"] == url.removeprefix("http://")


async def test_a_redirect_is_resolved_and_checked_again(
    end: FarEnd, context: ssl.SSLContext
) -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        if len(asked) > 1:
            raise AddressRefused(f"{host} is not on the public internet")
        return ["127.0.0.1"]

    end.handler = lambda _: answer(b"", status="302 Found", headers="Location: /x\r\n")

    with pytest.raises(ToolError, match="not on the public internet"):
        await fetch(
            request_to(end.url), context, allow_private=False, resolve=rebinding
        )
    assert len(end.requests) == 1


@pytest.mark.parametrize(
    ("name", "is_known"), [("shop.example", True), ("x.test", False)]
)
async def test_the_certificate_is_checked_against_the_name_not_the_address(
    name: str, is_known: bool
) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(PEM)
    names: list[str] = []
    serving.sni_callback = lambda _, sni, __: names.append(sni)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b'"hello"'))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    fetching = fetch(
        request_to(f"https://{name}:{port}/"),
        ssl.create_default_context(cafile=PEM),
        host=name,
        allow_private=False,
        resolve=loopback,
    )
    if is_known:
        assert (await fetching).body == b'"hello"'
    else:
        with pytest.raises(ToolError, match=r"x\.test:\d+ cannot prove its identity"):
            await fetching
    server.close()
    await server.wait_closed()
    assert set(names) == {name}


async def test_a_proxy_of_the_environment_is_used(
    end: FarEnd, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", end.url)
    monkeypatch.setenv("no_proxy", "other.example")

    await fetch(
        request_to("http://shop.example/o"), context, host="shop.example",
        allow_private=False,
    )  # fmt: skip

    assert end.requests[0].target == "http://shop.example/o"


async def test_no_failure_reveals_the_key(end: FarEnd, context: ssl.SSLContext) -> None:
    end.handler = lambda _: b"nonsense\r\n\r\n"

    with pytest.raises(ToolError) as failed:
        await fetch(request_to(end.url), context)
    assert "k3y" not in f"{failed.value}{failed.value.hint}"
