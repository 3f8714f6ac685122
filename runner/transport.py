"""The connection to a service: the only client-side file that knows `websockets`.

Compression stays off: base64 of sound does not shrink, and the library would turn it on
by itself whenever the other end offers it.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from runner.errors import (
    AuthenticationRejected,
    ConnectionLost,
    TransportError,
    UsageError,
)

# A reply's sound comes in small messages; the largest that is known is the echo of a
# long prompt with many tools. Anything beyond this is a broken or hostile peer.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
PING_SECONDS = 10.0

# The library writes headers, and with them the key, to its debug log: never.
_QUIET = logging.getLogger("vagent.transport")
_QUIET.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class WebSocketTransport:
    """One open connection: text in, text out."""

    _connection: ClientConnection

    async def send(self, text: str) -> None:
        """Send a text frame.

        Raises:
            ConnectionLost: the connection is gone.
        """
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _lost(error) from error

    async def receive(self) -> str | bytes:
        """Return the next frame.

        Raises:
            ConnectionLost: the connection is gone.
        """
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise _lost(error) from error

    async def close(self) -> None:
        """Close the connection; closing a closed one is fine."""
        await self._connection.close()


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections to one service; `key` is called for at each try."""

    url: str
    key: Callable[[], str | None] = field(default=lambda: None, repr=False)

    async def __call__(self, token: str | None = None) -> WebSocketTransport:
        """Open a connection, authorised by the token or else the key.

        Raises:
            AuthenticationRejected: the service turned the key down before the upgrade.
            TransportError: there is no service that speaks WebSocket at this address.
            UsageError: the address is no WebSocket address.
        """
        secret = token or self.key()
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        try:
            connection = await connect(
                self.url,
                additional_headers=headers,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                open_timeout=None,  # the session watches its own deadline
                close_timeout=1.0,
                proxy=None if _is_loopback(self.url) else True,
                logger=_QUIET,
            )
        except InvalidURI as error:
            raise UsageError(
                f"'{self.url}' is not a WebSocket address",
                hint="it begins with ws:// or wss://",
            ) from error
        except InvalidStatus as error:
            raise self._refused(error.response.status_code) from error
        except (OSError, InvalidHandshake, WebSocketException, EOFError) as error:
            raise TransportError(
                f"cannot reach {self.url} ({_reason(error)})"
            ) from error
        return WebSocketTransport(connection)

    def _refused(self, status: int) -> TransportError:
        if status == 401:
            return AuthenticationRejected(
                "the service does not accept the key (HTTP 401)"
            )
        return TransportError(
            f"{self.url} answered HTTP {status} instead of opening a session",
            status=status,
        )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lost(error: ConnectionClosed) -> ConnectionLost:
    received = error.rcvd
    if received is None:
        if error.sent is not None and error.sent.code == 1009:
            return ConnectionLost("the service sent a message that is too large", 1009)
        return ConnectionLost("the line was lost", None)
    reason = f": {received.reason}" if received.reason else ""
    return ConnectionLost(
        f"the service closed the connection ({received.code}{reason})", received.code
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error) or type(error).__name__
    cause = error.__cause__
    return f"{text}: {cause}" if cause is not None and str(cause) else text
