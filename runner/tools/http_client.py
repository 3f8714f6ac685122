"""HTTP client of the `http` tools: one host, checked addresses, size and retry limits.

Imports httpx, so that only agents with an `http` tool import this module.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from runner.errors import ToolError
from runner.hosts import is_private_host, is_public, is_this_machine

# Arguments become part of the path, the query or the body:
#
# {placeholder} in the url            percent-encoded; never adds a path segment
# GET, HEAD, DELETE                   other arguments in the query
# POST, PUT, PATCH                    other arguments in the body, as JSON or a form,
#                                     with the fixed `fields`, which take precedence

Body = Literal["json", "form"]

_QUERY_METHODS = ("GET", "DELETE", "HEAD")

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Header names are tokens (RFC 9110 section 5.6.2); values are visible ASCII and blanks.
# Control characters: some servers end a path at NUL, others remove line ends.
_PATH_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. The repr omits headers and URL, which may hold secrets."""

    method: str
    url: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    json: object = None
    form: tuple[tuple[str, str], ...] | None = None

    def __repr__(self) -> str:
        return f"Request({self.method} {urlsplit(self.url).hostname})"


@dataclass(frozen=True, slots=True, repr=False)
class RequestBuilder:
    """Builds the requests of a tool from its settings and the arguments."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, Any]
    body: Body = "json"
    fields: Mapping[str, Any] = field(default_factory=dict)  # fixed ones of the body

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The distinct names in the URL, in order."""
        return tuple(dict.fromkeys(_PLACEHOLDER.findall(self.url)))

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raises `ToolError` for an invalid URL or header."""
        try:
            parts = urlsplit(self.url)
            port_is_legal = parts.port is None or parts.port > 0
        except ValueError:
            port_is_legal = False
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ToolError(
                "the url is not an http:// or https:// URL with a host",
                hint="write it in full, such as https://api.example.com/orders/{id}",
            )
        if not port_is_legal or "{" in parts.netloc:
            raise ToolError(
                "the host of the url must be fixed: an argument must not choose it"
            )
        properties = parameters.get("properties") or {}
        for name in self.placeholders:
            if name not in properties:
                raise ToolError(
                    f"the url has {{{name}}}, which `parameters` does not describe",
                    hint=f"it describes: {', '.join(properties) or 'nothing'}",
                )
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ToolError(f"invalid header name {name!r}")
            if not _HEADER_VALUE.fullmatch(value):
                raise ToolError(
                    f"the value of the header {name!r} has invalid characters",
                    hint="remove line ends, surrounding blanks and non-ASCII letters",
                )

    def build(self, arguments: Mapping[str, Any]) -> Request:
        """Returns the request for these arguments; raises `ToolError` for a bad one."""
        path_end = re.search(r"[?#]|$", self.url)
        assert path_end is not None  # it also matches at the end
        url = _PLACEHOLDER.sub(
            lambda match: _fill(match, arguments, path_end.start()), self.url
        )
        rest = {
            name: value
            for name, value in arguments.items()
            if name not in self.placeholders
        }
        for name, value in rest.items():
            if not _is_encodable(value):
                raise ToolError(f"{name} is not proper text")
        fixed = _pairs(self.query)
        if self.method in _QUERY_METHODS:
            return Request(self.method, url, fixed + _pairs(rest), self.headers)
        content = {**rest, **self.fields}
        if self.body == "form":
            return Request(self.method, url, fixed, self.headers, form=_pairs(content))
        return Request(self.method, url, fixed, self.headers, json=content)


def _is_encodable(value: object) -> bool:
    """False for half a surrogate pair, which UTF-8 cannot express."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _fill(match: re.Match[str], arguments: Mapping[str, Any], path_end: int) -> str:
    name = match[1]
    value = arguments.get(name)
    if value is None:
        raise ToolError(f"{name} is missing")
    text = _text(value)
    in_path = match.start() < path_end
    if in_path and (not text.strip() or _is_navigation(text)):
        raise ToolError(f"{name} must not be {text[:60]!r}")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise ToolError(f"{name} is not proper text") from error


def _is_navigation(text: str) -> bool:
    """True if a server could resolve a text in a path as path navigation.

    Servers decode `%2F` before they resolve `..`, some of them twice; some read a
    backslash as `/`, and remove `;` with what follows.
    """
    decoded = text
    while (once := unquote(decoded)) != decoded:
        decoded = once
    segments = re.split(r"[/\\]", decoded)
    return bool(_PATH_CONTROL.search(decoded)) or any(
        segment.partition(";")[0].strip() in (".", "..") for segment in segments
    )


def _pairs(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Returns name and value pairs: a list repeats its name, None is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        members = value if isinstance(value, list | tuple) else [value]
        pairs.extend((name, _text(member)) for member in members if member is not None)
    return tuple(pairs)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# Resolves host and port to the addresses that may be connected to.
Resolve = Callable[[str, int], Awaitable[list[str]]]

PORTS = {"http": 80, "https": 443}


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to a resolved and checked address of the host, or to a proxy.

    Without `resolve` any address is allowed and httpx resolves the host.
    """

    def __init__(
        self, host: str, context: ssl.SSLContext, resolve: Resolve | None
    ) -> None:
        self._resolve = resolve
        self._proxies = {
            scheme: httpx.AsyncHTTPTransport(verify=context, proxy=proxy)
            for scheme in PORTS
            if (proxy := find_proxy(scheme, host)) is not None
        }
        self._direct = httpx.AsyncHTTPTransport(verify=context, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        proxied = self._proxies.get(request.url.scheme)
        if self._resolve is None:
            return await (proxied or self._direct).handle_async_request(request)
        if proxied is not None:
            check_host(host)
            return await proxied.handle_async_request(request)
        port = request.url.port or PORTS[request.url.scheme]
        addresses = await self._resolve(host, port)
        return await self._connect(request, host, addresses)

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxies.values()):
            await transport.aclose()

    async def _connect(
        self, request: httpx.Request, host: str, addresses: list[str]
    ) -> httpx.Response:
        """Tries the addresses in order; Host, SNI and the certificate use the name."""
        last: httpx.ConnectError | None = None
        for address in addresses:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._direct.handle_async_request(pinned)
            except httpx.ConnectError as error:
                last = error
        assert last is not None
        raise last


def find_proxy(scheme: str, host: str) -> str | None:
    """Returns the proxy for a host from the environment or the system settings.

    None for this machine, because localhost of a proxy is the proxy itself.
    """
    if is_this_machine(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


# Protection against server-side request forgery: callers choose the arguments, so a
# tool whose host name resolves to a private address would give them access to the local
# network (the metadata service of a cloud, a printer, a database). `allow_private` in
# the agent file turns it off.


class AddressRefused(Exception):
    """Raised for a host that is not public; the message is for the model."""


class HostUnknown(Exception):
    """Raised for a host name that does not resolve."""


async def resolve_public(host: str, port: int) -> list[str]:
    """Returns the addresses of a host, all of them public.

    Raises `HostUnknown` or `AddressRefused`. The caller must connect to one of these:
    a second lookup may return other addresses.
    """
    addresses = await _resolve(host, port)
    for text in addresses:
        if not is_public(ip_address(text)):
            raise AddressRefused(f"{host} is not on the public internet")
    return addresses


def check_host(host: str) -> None:
    """Raises `AddressRefused` for a host that is private by name or literal address.

    Used with a proxy, which resolves names itself.
    """
    if is_private_host(host):
        raise AddressRefused(f"{host} is not on the public internet")


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise HostUnknown(host) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise HostUnknown(host)
    return list(dict.fromkeys(addresses))


# Four times the maximum result: JSON gets shorter when it is encoded again.
MAX_RESPONSE_BYTES = 256 * 1024

_MAX_REDIRECTS = 3
_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")
_TRANSIENT = (502, 503, 504)
# With Retry-After; 429 without it gives no time after which a retry can help.
_WAITING = (429, 503)
_RETRY_DELAY_S = 0.2  # doubles with each retry
# Of the tool's timeout; the rest is left to report the error before cancellation.
_TIMEOUT_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response; `body` is complete and decompressed."""

    status: int
    reason: str
    content_type: str
    charset: str | None
    body: bytes
    retry_after: float | None = None  # seconds


_FAILURES = (
    httpx.HTTPError,
    httpx.InvalidURL,
    TimeoutError,
    HostUnknown,
    AddressRefused,
)


class HttpClient:
    """Sends the requests of one HTTP tool.

    Each tool has its own pool. Connections are pooled by address, so two host names on
    one address would otherwise share a connection that was checked for one of them.
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
        self._timeout = timeout * _TIMEOUT_SHARE
        self._context = context
        self._resolve = resolve
        self._client: httpx.AsyncClient | None = (
            None  # created on the event loop that uses it
        )

    async def fetch(self, request: Request) -> HttpResponse:
        """Sends a request; raises `ToolError` with a text for the model if it fails."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        retries = self._retries if request.method in _IDEMPOTENT else 0
        delay = _RETRY_DELAY_S
        while True:
            may_retry = retries > 0 and loop.time() + delay < deadline
            try:
                async with asyncio.timeout_at(deadline):
                    response = await self._exchange(request)
                waits = response.status in _WAITING and response.retry_after is not None
                if waits and response.retry_after is not None:
                    delay = max(delay, response.retry_after)
                    may_retry = retries > 0 and loop.time() + delay < deadline
                if not may_retry or not (waits or response.status in _TRANSIENT):
                    return response
            except httpx.ConnectError as error:
                if not may_retry:
                    raise self._to_tool_error(error, request) from error
            except _FAILURES as error:
                raise self._to_tool_error(error, request) from error
            retries -= 1
            await asyncio.sleep(delay)
            delay *= 2

    async def close(self) -> None:
        """Closes the connections."""
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
            timeout=self._timeout,
            headers={"accept-encoding": "gzip", "user-agent": "vagent"},
            follow_redirects=False,
            trust_env=False,  # the transport handles proxies; .netrc is not read
        )

    def _build(self, client: httpx.AsyncClient, request: Request) -> httpx.Request:
        # The argument `params` of httpx would replace a query in the URL.
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

    async def _exchange(self, built: Request) -> HttpResponse:
        if self._client is None:
            self._client = self._open()
        request = self._build(self._client, built)
        origin = request.url
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._client.send(request, stream=True)
            try:
                redirect = response.next_request
                if redirect is None:
                    return await self._read_body(response)
            finally:
                await response.aclose()
            if not _is_same_host(origin, redirect.url):
                raise ToolError(
                    f"{self._host} redirects to another host, which is not followed"
                )
            if redirect.method != request.method:
                # 301, 302 and 303: the new request would only read, and its success
                # would look like that of the write.
                raise ToolError(
                    f"{self._host} redirected the {request.method} "
                    f"({response.status_code}), which was not repeated: it is unknown "
                    "whether it was done",
                    hint="use the address that it redirects to in the agent file",
                )
            request = redirect
        raise ToolError(f"{self._host} redirects too often")

    async def _read_body(self, response: httpx.Response) -> HttpResponse:
        body = bytearray()
        async for chunk in self._decompress(response):
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES:
                raise self._too_long()
        content_type = response.headers.get("content-type", "")
        return HttpResponse(
            status=response.status_code,
            reason=response.reason_phrase,
            content_type=content_type.partition(";")[0].strip().lower(),
            charset=response.charset_encoding,
            body=bytes(body),
            retry_after=_read_retry_after(response.headers.get("retry-after", "")),
        )

    async def _decompress(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yields the decompressed body; decompression stops at the maximum size."""
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "", "gzip", "x-gzip"):
            raise ToolError(f"{self._host} answered in an encoding nobody asked for")
        if not coding.endswith("gzip"):
            async for chunk in response.aiter_raw():
                yield chunk
            return
        async for part in self._unzip(response):
            yield part

    async def _unzip(self, response: httpx.Response) -> AsyncIterator[bytes]:
        unpacker = zlib.decompressobj(31)
        is_complete = True  # a response without a body is
        async for received in response.aiter_raw():
            rest = received
            while rest:
                if unpacker.eof:  # the next member; padding of zeros is not one
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    unpacker = zlib.decompressobj(31)
                try:
                    yield unpacker.decompress(rest, MAX_RESPONSE_BYTES + 1)
                except zlib.error as error:
                    raise self._broken() from error
                if unpacker.unconsumed_tail:
                    raise self._too_long()
                rest, is_complete = unpacker.unused_data, unpacker.eof
        if not is_complete:
            raise self._broken()

    def _broken(self) -> ToolError:
        return ToolError(f"{self._host} answered with broken data")

    def _too_long(self) -> ToolError:
        return ToolError(
            f"{self._host} answered with more than {MAX_RESPONSE_BYTES // 1024} KiB"
        )

    def _to_tool_error(self, error: Exception, request: Request) -> ToolError:
        """Returns the error without the text of httpx, which may quote headers."""
        kind = type(error).__name__
        port = urlsplit(request.url).port
        address = self._host if port is None else f"{self._host}:{port}"
        match error:
            case HostUnknown():
                return ToolError(f"the host {self._host} cannot be found")
            case AddressRefused():
                return ToolError(
                    str(error),
                    hint="`allow_private: true` in its http settings permits it",
                )
            case TimeoutError() | httpx.TimeoutException():
                return ToolError(f"{address} did not answer in time", hint=kind)
            case httpx.ProxyError():
                return ToolError(f"the proxy to {address} failed", hint=kind)
            case httpx.ConnectError() if _is_certificate_error(error):
                return ToolError(f"{address} cannot prove its identity", hint=kind)
            case httpx.ConnectError():
                return ToolError(f"{address} cannot be reached", hint=kind)
        return ToolError(f"talking to {address} failed", hint=kind)


def open_context() -> ssl.SSLContext:
    """Returns a TLS context with the certificate authorities; slow, so share it."""
    return httpx.create_ssl_context()


def _is_same_host(origin: httpx.URL, target: httpx.URL) -> bool:
    """True if a redirect stays on its host, also from http to https."""
    if target.host != origin.host or target.scheme not in PORTS:
        return False
    if target.scheme == origin.scheme:
        return target.port == origin.port
    return origin.scheme == "http" and origin.port is None and target.port is None


def _is_certificate_error(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _read_retry_after(text: str) -> float | None:
    """Returns the seconds of the header Retry-After; None without a valid one."""
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        due = parsedate_to_datetime(text)
    except ValueError:
        return None
    if due.tzinfo is None:  # "-0000": UTC without a place
        due = due.replace(tzinfo=UTC)
    return max((due - datetime.now(UTC)).total_seconds(), 0.0)


def _collect(pairs: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    collected: dict[str, list[str]] = {}
    for name, value in pairs:
        collected.setdefault(name, []).append(value)
    return collected
