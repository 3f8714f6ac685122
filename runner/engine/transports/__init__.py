"""Connections to a service, carried by whichever WebSocket library is there."""

from __future__ import annotations

import importlib.util
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from runner.engine.connection import TransportListener
from runner.engine.transports.dialer import ConnectOptions
from runner.errors import UsageError
from runner.hosts import is_this_machine

PING_SECONDS = 4.0
PONG_SECONDS = 4.0

Library: TypeAlias = Literal["websockets", "picows"]


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections to one service; `key` is called for at each try.

    A line on which nothing was heard for `ping_seconds` is pinged, and given up after
    another `pong_seconds`.
    """

    url: str
    key: Callable[[], str | None] = field(default=lambda: None, repr=False)
    library: Library = "websockets"
    ping_seconds: float = PING_SECONDS
    pong_seconds: float = PONG_SECONDS

    async def __call__(self, token: str | None, listener: TransportListener) -> None:
        """Open a connection, authorised by the token or else the key.

        Raises:
            AuthenticationRejected: the service turned the key down before the upgrade.
            TransportError: there is no service that speaks WebSocket at this address.
            UsageError: the address is no WebSocket address.
        """
        secret = token or self.key()
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        dialing = ConnectOptions(
            self.url, headers, proxy_for(self.url), self.ping_seconds, self.pong_seconds
        )
        await _opener(self.library)(dialing, listener)


def choose_library(wish: str) -> Library:
    """Return the library for `auto` (the fast one, if it is installed) or for a name.

    Raises:
        UsageError: there is none of this name, or it is not installed.
    """
    match wish:
        case "auto":
            return "picows" if _is_installed("picows") else "websockets"
        case "websockets":
            return "websockets"
        case "picows" if _is_installed("picows"):
            return "picows"
        case "picows":
            raise UsageError(
                "picows is not installed", hint="pip install 'vagent[fast]'"
            )
        case _:
            raise UsageError(
                f"'{wish}' is not a transport",
                hint="--transport takes websockets, picows or auto",
            )


def proxy_for(url: str) -> str | None:
    """Return the address of the proxy that the environment names for this service."""
    address = urlsplit(url)
    host = address.hostname or ""
    if is_this_machine(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    schemes = ("wss", "https") if address.scheme == "wss" else ("ws", "https", "http")
    # RFC 6455, section 4.1 would have SOCKS first; a name for just this scheme is
    # more exact.
    for scheme in (schemes[0], "socks", *schemes[1:]):
        if scheme in proxies:
            return _as_socks(proxies[scheme]) if scheme == "socks" else proxies[scheme]
    return None


def _opener(
    library: Library,
) -> Callable[[ConnectOptions, TransportListener], Awaitable[None]]:
    if library == "picows":
        from runner.engine.transports import picows

        return picows.open_connection
    from runner.engine.transports import websockets

    return websockets.open_connection


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _as_socks(proxy: str) -> str:
    # Operating systems tell the address of a SOCKS proxy as if it spoke HTTP.
    return proxy.replace("http://", "socks5h://", 1)
