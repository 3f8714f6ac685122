"""HTTP with a short leash: one host, bounded answers, checked addresses, few retries.

This file and `guard` alone know httpx; an agent with an `http` tool imports them.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from runner.errors import ToolError
from runner.tools.addresses import (
    AddressRefused,
    HostUnknown,
    resolve_public,
)
from runner.tools.guard import PORTS, GuardedTransport, Resolve
from runner.tools.placement import Request

# Four times what a result may be: answers shrink when they are read.
ANSWER_LIMIT = 256 * 1024

_REDIRECT_LIMIT = 3
_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")
_TRANSIENT = (502, 503, 504)
_FIRST_DELAY = 0.2  # seconds; doubles with each retry
# Of the call's timeout; the rest is for saying what went wrong before it is cancelled.
_BUDGET = 0.9


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What the far end said; `body` is complete and decompressed."""

    status: int
    reason: str
    content_type: str
    charset: str | None
    body: bytes


_FAILURES = (
    httpx.HTTPError,
    httpx.InvalidURL,
    TimeoutError,
    HostUnknown,
    AddressRefused,
)


class HttpClient:
    """Sends the requests of one HTTP tool.

    A pool of its own for each tool, since connections are kept by address here: shared,
    two names on one address would share a connection checked for only one of them.
    """

    def __init__(
        self,
        host: str,
        *,
        allow_private: bool,
        retries: int,
        timeout: float,
        context: ssl.SSLContext,
        resolve: Resolve = resolve_public,
    ) -> None:
        self._host = host
        self._allow_private = allow_private
        self._retries = retries
        self._budget = timeout * _BUDGET
        self._context = context
        self._resolve = resolve
        self._client: httpx.AsyncClient | None = None  # made on the loop that uses it

    async def fetch(self, request: Request) -> HttpResponse:
        """Send a request; raise `ToolError`, fit for the model, when it fails."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._budget
        retries = self._retries if request.method in _IDEMPOTENT else 0
        delay = _FIRST_DELAY
        while True:
            may_retry = retries > 0 and loop.time() + delay < deadline
            try:
                async with asyncio.timeout_at(deadline):
                    answer = await self._exchange(request)
                if answer.status not in _TRANSIENT or not may_retry:
                    return answer
            except httpx.ConnectError as error:
                if not may_retry:
                    raise self._failed(error) from error
            except _FAILURES as error:
                raise self._failed(error) from error
            retries -= 1
            await asyncio.sleep(delay)
            delay *= 2

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _open(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=GuardedTransport(
                self._host,
                self._context,
                None if self._allow_private else self._resolve,
            ),
            timeout=self._budget,
            headers={"accept-encoding": "gzip", "user-agent": "vagent"},
            follow_redirects=False,
            trust_env=False,  # the transport sees to proxies; no passwords from .netrc
        )

    def _build(self, client: httpx.AsyncClient, request: Request) -> httpx.Request:
        # Given to httpx as a whole, `params` would replace a query in the url.
        url = httpx.URL(request.url)
        if request.query:
            url = url.copy_merge_params(list(request.query))
        return client.build_request(
            request.method,
            url,
            headers=dict(request.headers),
            json=request.json,
            data=_collect(request.form) if request.form else None,
        )

    async def _exchange(self, placed: Request) -> HttpResponse:
        if self._client is None:
            self._client = self._open()
        request = self._build(self._client, placed)
        origin = request.url
        for _ in range(_REDIRECT_LIMIT + 1):
            response = await self._client.send(request, stream=True)
            try:
                following = response.next_request
                if following is None:
                    return await self._read(response)
            finally:
                await response.aclose()
            if not _is_same_host(origin, following.url):
                raise ToolError(
                    f"{self._host} redirects to another host, which is not followed"
                )
            request = following
        raise ToolError(f"{self._host} redirects too often")

    async def _read(self, response: httpx.Response) -> HttpResponse:
        body = bytearray()
        async for chunk in self._decompress(response):
            body += chunk
            if len(body) > ANSWER_LIMIT:
                raise self._too_long()
        content_type = response.headers.get("content-type", "")
        return HttpResponse(
            status=response.status_code,
            reason=response.reason_phrase,
            content_type=content_type.partition(";")[0].strip().lower(),
            charset=response.charset_encoding,
            body=bytes(body),
        )

    async def _decompress(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yield the body; a few kilobytes that unpack to gigabytes are not unpacked."""
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "", "gzip", "x-gzip"):
            raise ToolError(f"{self._host} answered in an encoding nobody asked for")
        unpacker = zlib.decompressobj(31) if coding.endswith("gzip") else None
        async for chunk in response.aiter_raw():
            if unpacker is None:
                yield chunk
                continue
            try:
                yield unpacker.decompress(chunk, ANSWER_LIMIT + 1)
            except zlib.error as error:
                raise ToolError(f"{self._host} answered with broken data") from error
            if unpacker.unconsumed_tail:
                raise self._too_long()

    def _too_long(self) -> ToolError:
        return ToolError(
            f"{self._host} answered with more than {ANSWER_LIMIT // 1024} KiB"
        )

    def _failed(self, error: Exception) -> ToolError:
        """Say what went wrong; httpx's own words may quote headers and urls."""
        kind = type(error).__name__
        match error:
            case HostUnknown():
                return ToolError(f"the host {self._host} cannot be found")
            case AddressRefused():
                return ToolError(
                    str(error),
                    hint="`allow_private: true` in its http settings permits it",
                )
            case TimeoutError() | httpx.TimeoutException():
                return ToolError(f"{self._host} did not answer in time", hint=kind)
            case httpx.ProxyError():
                return ToolError(f"the proxy to {self._host} failed", hint=kind)
            case httpx.ConnectError() if _is_about_trust(error):
                return ToolError(f"{self._host} cannot prove its identity", hint=kind)
            case httpx.ConnectError():
                return ToolError(f"{self._host} cannot be reached", hint=kind)
        return ToolError(f"talking to {self._host} failed", hint=kind)


def open_context() -> ssl.SSLContext:
    """Load the certificate authorities once, for all tools of a kind."""
    return httpx.create_ssl_context()


def _is_same_host(origin: httpx.URL, target: httpx.URL) -> bool:
    """Whether a redirect stays with its host, perhaps going from http to https."""
    if target.host != origin.host or target.scheme not in PORTS:
        return False
    if target.scheme == origin.scheme:
        return target.port == origin.port
    return origin.scheme == "http" and origin.port is None and target.port is None


def _is_about_trust(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _collect(pairs: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    collected: dict[str, list[str]] = {}
    for name, value in pairs:
        collected.setdefault(name, []).append(value)
    return collected
