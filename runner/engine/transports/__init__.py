"""Transports: connections to a service with one of the WebSocket libraries."""

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
    """Opens connections to one service; `key` is called at each attempt.

    A connection that is silent for `ping_seconds` is pinged, and closed after another
    `pong_seconds` of silence.
    """

    url: str
    key: Callable[[], str | None] = field(default=lambda: None, repr=False)
    library: Library = "websockets"
    ping_seconds: float = PING_SECONDS
    pong_seconds: float = PONG_SECONDS

    async def __call__(self, token: str | None, listener: TransportListener) -> None:
        """Opens a connection, authorized by the token or else the key.

        Raises:
            AuthenticationRejected: the service rejected the key before the upgrade.
            TransportError: no WebSocket service answers at this address.
            UsageError: the address is not a WebSocket address.
        """
        secret = token or self.key()
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        options = ConnectOptions(
            self.url, headers, proxy_for(self.url), self.ping_seconds, self.pong_seconds
        )
        await _opener(self.library)(options, listener)


def choose_library(wish: str) -> Library:
    """Returns the library for `auto` (the fast one, if it is installed) or a name.

    Raises:
        UsageError: the name is unknown, or the library is not installed.
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
                hint="use websockets, picows or auto",
            )


def proxy_for(url: str) -> str | None:
    """Returns the address of the proxy that the environment sets for this service."""
    address = urlsplit(url)
    host = address.hostname or ""
    if is_this_machine(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    schemes = ("wss", "https") if address.scheme == "wss" else ("ws", "https", "http")
    # RFC 6455, section 4.1 puts SOCKS first; a proxy for just this scheme is more
    # specific.
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
    # Operating systems report the address of a SOCKS proxy with the scheme http.
    return proxy.replace("http://", "socks5h://", 1)
