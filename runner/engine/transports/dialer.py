"""What a connection is made of, and how its end is told, whoever carries it."""

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

# A reply's sound comes in small messages; the largest that is known is the echo of a
# long prompt with many tools. Anything beyond this is a broken or hostile peer.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
OPEN_SECONDS = 10.0  # for a library that insists on a limit of its own
CLOSE_SECONDS = 1.0  # how long the other end may take to close its side
# How much the kernel may hold that is not on its way yet: 100 ms of sound and what goes
# with it. More would only be late.
UNSENT_BYTES = 8 * 1024
# Where the kernel knows no such limit: its whole buffer, which has to hold what is on
# its way too, 300 ms of sound.
SEND_BUFFER_BYTES = 32 * 1024
# After a pause of the whole program what has come is read before it is missed.
_LAST_LOOK_SECONDS = 0.1

# RFC 6455, section 7.4.1
PROTOCOL_ERROR = 1002
NO_CODE = 1005  # stands for a close without one
NOT_TEXT = 1007
MESSAGE_TOO_BIG = 1009

_TCP_NOTSENT_LOWAT = 25  # in Linux's tcp.h; Python 3.11 has no name for it there


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """One try to open a connection. Times are seconds.

    A line on which nothing was heard for `ping_seconds` is pinged, and given up after
    another `pong_seconds`. `proxy` is the address of one, or None.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    proxy: str | None
    ping_seconds: float
    pong_seconds: float

    def refused(self, status: int) -> TransportError:
        """Return what an answer other than 101 to the upgrade means."""
        if status == 401:
            return AuthenticationRejected(
                "the service does not accept the key (HTTP 401)"
            )
        return TransportError(
            f"{self.url} answered HTTP {status} instead of opening a session",
            status=status,
        )

    def misspelt(self) -> UsageError:
        """Return what an address that is none means."""
        return UsageError(
            f"'{self.url}' is not a WebSocket address",
            hint="it begins with ws:// or wss://",
        )

    def unreachable(self, error: BaseException) -> TransportError:
        """Return what a failure to connect means."""
        return TransportError(f"cannot reach {self.url} ({_reason(error)})")


def lost(
    received: tuple[int, str] | None, sent_code: int | None, *, silent_seconds: float
) -> ConnectionLost:
    """Return why a connection ended: what the other end said, else what this one did.

    `silent_seconds` is how long nothing was heard, if that is why; else 0.
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
    """Let neither the kernel nor the event loop hold back what is to be sent now.

    The loop says that the socket is full as soon as one byte has to wait, and the
    kernel takes little beyond what is on its way.
    """
    # A cast: the transports of other loops do not derive from asyncio's. One, not zero:
    # those of TLS call an empty buffer full when the limit is zero.
    cast(asyncio.WriteTransport, transport).set_write_buffer_limits(high=1, low=0)
    # asyncio's TLS writes to a transport of its own, which would hold 64 KiB, over a
    # second of sound, and has no public name. Where it has another, it holds that.
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
    """Watches that the other end is there; all times are the event loop's.

    Whoever reads the socket calls `hear`: while anything is heard, nothing is sent.
    """

    def __init__(
        self,
        dialing: ConnectOptions,
        ping: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._dialing = dialing
        self._ping = ping
        self._give_up = give_up
        self._timer = self._loop.call_later(dialing.ping_seconds, self._wake)

    @property
    def silent_seconds(self) -> float:
        """How long nothing was heard."""
        return self._loop.time() - self._heard_at

    def hear(self) -> None:
        """Take note that something has come."""
        self._heard_at = self._loop.time()

    def stop(self) -> None:
        """Watch no more."""
        self._timer.cancel()

    def _wake(self) -> None:
        due = self._heard_at + self._dialing.ping_seconds
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._wake)
            return
        self._timer = self._loop.call_later(
            self._dialing.pong_seconds, self._look, self._heard_at
        )
        self._ping()

    def _look(self, before: float) -> None:
        # Timers may run before sockets are read: after a stall, one round more.
        self._timer = self._loop.call_later(_LAST_LOOK_SECONDS, self._judge, before)

    def _judge(self, before: float) -> None:
        if self._heard_at > before:
            self._wake()
        else:
            self._give_up()


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error) or type(error).__name__
    cause = error.__cause__
    return f"{text}: {cause}" if cause is not None and str(cause) else text
