"""Where an HTTP tool's connections go: to a checked address, or to a proxy."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from urllib.request import getproxies, proxy_bypass

import httpx

from runner.hosts import is_this_machine
from runner.tools.addresses import check_literal

# From host and port to addresses that may be connected to.
Resolve = Callable[[str, int], Awaitable[list[str]]]

PORTS = {"http": 80, "https": 443}


class GuardedTransport(httpx.AsyncBaseTransport):
    """Resolves the host, checks every address, and connects to a checked one.

    Without `resolve` any address will do, and connecting is left to the library.
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
            check_literal(host)
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
        """Try the addresses in order; the name stays in Host, SNI and certificate."""
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
    """Return the proxy that the environment or the system names for a host.

    Never one for this machine: what a proxy calls localhost is itself.
    """
    if is_this_machine(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
