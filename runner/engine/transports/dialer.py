"""Options, errors, socket buffers and keepalive that all transports share."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from runner.errors import (
    AuthenticationRejected,
    ConnectionLost,
    TransportError,
    UsageError,
)

# Audio comes in small messages; the largest known message is the echo of a long prompt
# with many tools. Beyond this the peer is broken or hostile.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
OPEN_SECONDS = 10.0  # for a library that requires a limit
CLOSE_SECONDS = 1.0  # time for the other end to close its side
# Limit of unsent bytes in the kernel: 100 ms of audio and its overhead. More would only
# add delay.
UNSENT_BYTES = 8 * 1024
# If the kernel has no such limit: its whole buffer, which also holds bytes in flight,
# 300 ms of audio.
SEND_BUFFER_BYTES = 32 * 1024
# Time to read received messages after the whole program was suspended.
_GRACE_SECONDS = 0.1

# RFC 6455, section 7.4.1
PROTOCOL_ERROR = 1002
NO_CODE = 1005  # a close without a code
NOT_TEXT = 1007
MESSAGE_TOO_BIG = 1009

_TCP_NOTSENT_LOWAT = 25  # in Linux's tcp.h; missing in Python 3.11


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """Options of one attempt to connect. Times are seconds.

    A connection that is silent for `ping_seconds` is pinged, and closed after another
    `pong_seconds` of silence. `proxy` is an address, or None.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    proxy: str | None
    ping_seconds: float
    pong_seconds: float

    def refused(self, status: int) -> TransportError:
        """Returns the error for a response to the upgrade other than 101."""
        if status == 401:
            return AuthenticationRejected(
                "the service does not accept the key (HTTP 401)"
            )
        if 300 <= status < 400:
            return TransportError(
                f"{self.url} redirects (HTTP {status}), which is not followed: the "
                "key and the call would go to another address",
                status=status,
            )
        return TransportError(
            f"{self.url} answered HTTP {status} instead of opening a session",
            status=status,
        )

    def invalid_address(self) -> UsageError:
        """Returns the error for an invalid address."""
        return UsageError(
            f"'{self.url}' is not a WebSocket address",
            hint="use an address that begins with ws:// or wss://",
        )

    def unreachable(self, error: BaseException) -> TransportError:
        """Returns the error for a failure to connect."""
        return TransportError(f"cannot reach {self.url} ({_reason(error)})")


def lost(
    received: tuple[int, str] | None, sent_code: int | None, *, silent_seconds: float
) -> ConnectionLost:
    """Returns the error for the end of a connection: by the peer, else by this end.

    `silent_seconds` is the time without data, if that was the reason; else 0.
    """
    if received is not None:
        code, text = received
        reason = f": {text}" if text else ""
        return ConnectionLost(
            f"the service closed the connection ({code}{reason})", code
        )
    if sent_code == MESSAGE_TOO_BIG:
        sentence = "the service sent a message that is too large"
        return ConnectionLost(sentence, MESSAGE_TOO_BIG)
    if silent_seconds:
        return ConnectionLost(
            f"the line was lost: nothing was heard for {silent_seconds:.0f} s", None
        )
    return ConnectionLost("the line was lost", None)


def limit_send_buffer(transport: asyncio.BaseTransport) -> None:
    """Limits the unsent bytes in the kernel and in the event loop.

    The loop calls `pause_writing` as soon as one byte has to wait, and the kernel
    accepts little beyond the bytes in flight.
    """
    # A cast: the transports of other loops do not derive from asyncio's. One, not zero:
    # TLS transports report an empty buffer as full when the limit is zero.
    cast(asyncio.WriteTransport, transport).set_write_buffer_limits(high=1, low=0)
    # asyncio's TLS writes to an inner transport without a public name, which would hold
    # 64 KiB, over a second of audio. If it is missing, its default limits remain.
    under = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if isinstance(under, asyncio.WriteTransport):
        under.set_write_buffer_limits(high=1, low=0)
    sock = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is None and sys.platform == "linux":
        option = _TCP_NOTSENT_LOWAT
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


class Keepalive:
    """Detects a dead connection; all times are those of the event loop.

    The transport calls `data_received`; no ping is sent while data is received.
    """

    def __init__(
        self,
        options: ConnectOptions,
        ping: Callable[[], None],
        close_silent: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._received_at = self._loop.time()
        self._options = options
        self._ping = ping
        self._close_silent = close_silent
        self._timer = self._loop.call_later(options.ping_seconds, self._wake)

    @property
    def silent_seconds(self) -> float:
        """Seconds since data was received."""
        return self._loop.time() - self._received_at

    def data_received(self) -> None:
        """Records that data was received."""
        self._received_at = self._loop.time()

    def stop(self) -> None:
        """Stops the timers."""
        self._timer.cancel()

    def _wake(self) -> None:
        due = self._received_at + self._options.ping_seconds
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._wake)
            return
        self._timer = self._loop.call_later(
            self._options.pong_seconds, self._wait_for_data, self._received_at
        )
        self._ping()

    def _wait_for_data(self, before: float) -> None:
        # After a stall, timers may run before sockets are read: wait once more.
        self._timer = self._loop.call_later(_GRACE_SECONDS, self._check, before)

    def _check(self, before: float) -> None:
        if self._received_at > before:
            self._wake()
        else:
            self._close_silent()


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error) or type(error).__name__
    cause = error.__cause__
    return f"{text}: {cause}" if cause is not None and str(cause) else text
