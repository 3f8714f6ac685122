"""The wire by `websockets`: its protocol object, its handshake, but no task of its own.

The library hands each frame to `process_event` as soon as its bytes were read; from
there a message goes straight to the listener. Its queue, its reading coroutine and its
keepalive task are not used: the wake-ups of the loop that they need cost more than
everything else that is done to a message.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import (
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State

from runner.engine.connection import TransportListener
from runner.engine.transports.dialer import (
    CLOSE_SECONDS,
    MAX_MESSAGE_BYTES,
    NOT_TEXT,
    ConnectOptions,
    Keepalive,
    limit_send_buffer,
    lost,
)

# The library writes headers, and with them the key, to its debug log: never.
_QUIET = logging.getLogger("vagent.transport")
_QUIET.setLevel(logging.WARNING)

# Looked up for every frame: as globals they cost half.
_OPEN, _CLOSING = State.OPEN, State.CLOSING
_TEXT, _BINARY, _CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONT


async def open_connection(dialing: ConnectOptions, listener: TransportListener) -> None:
    """Open a connection and tell the listener of it.

    Raises:
        AuthenticationRejected: the service turned the key down before the upgrade.
        TransportError: there is no service that speaks WebSocket at this address.
        UsageError: the address is no WebSocket address.
    """
    try:
        await connect(
            dialing.url,
            additional_headers=dialing.headers,
            # Off: base64 of sound does not shrink, and the library would turn it on
            # by itself whenever the other end offers it.
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            ping_interval=None,  # see `Keepalive`
            open_timeout=None,  # the session watches its own deadline
            close_timeout=CLOSE_SECONDS,
            proxy=dialing.proxy,
            logger=_QUIET,
            create_connection=functools.partial(_Connection, dialing, listener),  # type: ignore[arg-type]  # "a wrapper or a subclass", say the library's docs
        )
    except InvalidURI as error:
        raise dialing.misspelt() from error
    except InvalidStatus as error:
        raise dialing.refused(error.response.status_code) from error
    except ImportError as error:  # a SOCKS proxy, and no library that speaks SOCKS
        raise dialing.unreachable(error) from error
    except (OSError, InvalidHandshake, WebSocketException, EOFError) as error:
        raise dialing.unreachable(error) from error


class _Connection(ClientConnection):
    """The library's connection as a transport that calls its listener."""

    def __init__(
        self,
        dialing: ConnectOptions,
        listener: TransportListener,
        protocol: ClientProtocol,
        **options: Any,
    ) -> None:
        super().__init__(protocol, **options)
        self.is_writable = True
        self._dialing = dialing
        self._listener = listener
        self._pulse: Keepalive | None = None  # from the handshake to the loss
        self._silent_seconds = 0.0  # set when the line is given up for that
        self._fragments: bytearray | None = None  # of a message that is not whole yet
        self._is_text = False  # what the fragments are

    def write(self, text: str) -> None:
        """Send a text frame; does nothing once the connection is gone."""
        if self.protocol.state is _OPEN:
            self.protocol.send_text(text.encode())
            self.send_data()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send what was written, then close; closing a closed one is fine."""
        try:
            # The library waits without a limit for a socket that takes nothing.
            async with asyncio.timeout(CLOSE_SECONDS):
                await super().close(code, reason)
        except TimeoutError:
            pass
        finally:
            self.transport.abort()

    # ------------------------------------------------- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        limit_send_buffer(transport)

    def data_received(self, data: bytes) -> None:
        pulse = self._pulse
        if pulse is not None:
            pulse.hear()
        super().data_received(data)
        if self.protocol.state is _CLOSING:
            self._lose()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lose()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.is_writable = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.is_writable = True
        if self._pulse is not None:
            self._listener.writable()

    # --------------------------------------------------- what the library calls

    def process_event(self, event: Event) -> None:
        """Take a frame, or the answer to the handshake, which comes first."""
        if self.response is None:
            super().process_event(event)
            if self.protocol.handshake_exc is None:
                self._pulse = Keepalive(self._dialing, self._ping, self._give_up)
                self._listener.opened(self)
            return
        assert isinstance(event, Frame)
        opcode = event.opcode
        if opcode is _TEXT and event.fin:
            self._tell(event.data, is_text=True)
        elif opcode is _TEXT or opcode is _BINARY or opcode is _CONTINUATION:
            self._assemble(event)

    def _assemble(self, frame: Frame) -> None:
        # The protocol has checked the order of fragments and the size of the whole.
        if frame.opcode is not _CONTINUATION:
            self._fragments = bytearray()
            self._is_text = frame.opcode is _TEXT
        assert self._fragments is not None
        self._fragments += frame.data
        if frame.fin:
            whole, self._fragments = self._fragments, None
            self._tell(whole, is_text=self._is_text)

    def _tell(self, data: bytes | bytearray | memoryview, *, is_text: bool) -> None:
        if self._pulse is None:
            return  # lost: what came in the same packet after that counts no more
        if not is_text:
            self._listener.received(bytes(data))
            return
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.protocol.fail(NOT_TEXT, "not UTF-8")
            self.send_data()
            self._lose()
        else:
            self._listener.received(text)

    # ---------------------------------------------------------------------- ends

    def _lose(self) -> None:
        """Tell of the loss, once: at the first sign that nothing more will come."""
        pulse, self._pulse = self._pulse, None
        if pulse is None:
            return
        pulse.stop()
        if self.protocol.state is _CLOSING:
            # The other end should close the socket now; it is not waited for.
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
        received, sent = self.protocol.close_rcvd, self.protocol.close_sent
        self._listener.lost(
            lost(
                None if received is None else (received.code, received.reason),
                None if sent is None else sent.code,
                silent_seconds=self._silent_seconds,
            )
        )

    def _ping(self) -> None:
        if self.protocol.state is _OPEN:
            self.protocol.send_ping(b"")
            self.send_data()

    def _give_up(self) -> None:
        assert self._pulse is not None
        self._silent_seconds = self._pulse.silent_seconds
        self.transport.abort()
