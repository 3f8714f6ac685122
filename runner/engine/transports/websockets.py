"""Transport with `websockets`: its protocol and handshake, but none of its tasks.

The library passes each frame to `process_event` as soon as its bytes were read, and a
message goes directly to the listener. Its queue, its reading coroutine and its
keepalive task are not used: their wake-ups of the event loop cost more than all other
processing of a message.
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

# The library writes headers, which contain the key, to its debug log.
_QUIET = logging.getLogger("vagent.transport")
_QUIET.setLevel(logging.WARNING)

# Used for every frame: globals cost half as much as attributes.
_OPEN, _CLOSING = State.OPEN, State.CLOSING
_TEXT, _BINARY, _CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONT


async def open_connection(options: ConnectOptions, listener: TransportListener) -> None:
    """Opens a connection and calls `opened` of the listener.

    Raises:
        AuthenticationRejected: the service rejected the key before the upgrade.
        TransportError: no WebSocket service answers at this address.
        UsageError: the address is not a WebSocket address.
    """
    try:
        await _Connect(
            options.url,
            additional_headers=options.headers,
            # Off: base64 of audio does not compress, and the library would enable it
            # whenever the other end offers it.
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            ping_interval=None,  # see `Keepalive`
            open_timeout=None,  # the session has a deadline
            close_timeout=CLOSE_SECONDS,
            proxy=options.proxy,
            logger=_QUIET,
            create_connection=functools.partial(_Connection, options, listener),  # type: ignore[arg-type]  # "a wrapper or a subclass", say the library's docs
        )
    except InvalidURI as error:
        raise options.invalid_address() from error
    except InvalidStatus as error:
        raise options.refused(error.response.status_code) from error
    except ImportError as error:  # a SOCKS proxy, and no library for it
        raise options.unreachable(error) from error
    except (OSError, InvalidHandshake, WebSocketException, EOFError) as error:
        raise options.unreachable(error) from error


class _Connect(connect):
    """The library's handshake without redirects: the target would receive the call."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Connection(ClientConnection):
    """Connection of the library and transport of the engine."""

    def __init__(
        self,
        options: ConnectOptions,
        listener: TransportListener,
        protocol: ClientProtocol,
        **arguments: Any,
    ) -> None:
        super().__init__(protocol, **arguments)
        self.is_writable = True
        self._options = options
        self._listener = listener
        self._keepalive: Keepalive | None = None  # from the handshake to the loss
        self._silent_seconds = 0.0  # set when the connection is closed for silence
        self._fragments: bytearray | None = None  # of an incomplete message
        self._is_text = False  # the fragments are text

    def write(self, text: str) -> None:
        """Sends a text frame; has no effect after the connection was lost."""
        if self.protocol.state is _OPEN:
            self.protocol.send_text(text.encode())
            self.send_data()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Sends the written messages, then closes; a second call has no effect."""
        try:
            # The library waits without a limit for a socket that accepts nothing.
            async with asyncio.timeout(CLOSE_SECONDS):
                await super().close(code, reason)
        except TimeoutError:
            pass
        finally:
            self.transport.abort()

    # Callbacks of the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        limit_send_buffer(transport)

    def data_received(self, data: bytes) -> None:
        keepalive = self._keepalive
        if keepalive is not None:
            keepalive.data_received()
        super().data_received(data)
        if self.protocol.state is _CLOSING:
            self._report_loss()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._report_loss()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.is_writable = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.is_writable = True
        if self._keepalive is not None:
            self._listener.writable()

    # Callback of the library.

    def process_event(self, event: Event) -> None:
        """Handles a frame, or the response to the handshake, which comes first."""
        if self.response is None:
            super().process_event(event)
            if self.protocol.handshake_exc is None:
                self._keepalive = Keepalive(
                    self._options, self._ping, self._close_silent
                )
                self._listener.opened(self)
            return
        assert isinstance(event, Frame)
        opcode = event.opcode
        if opcode is _TEXT and event.fin:
            self._forward(event.data, is_text=True)
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
            self._forward(whole, is_text=self._is_text)

    def _forward(self, data: bytes | bytearray | memoryview, *, is_text: bool) -> None:
        if self._keepalive is None:
            return  # lost: later data of the same packet is ignored
        if not is_text:
            self._listener.received(bytes(data))
            return
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.protocol.fail(NOT_TEXT, "not UTF-8")
            self.send_data()
            self._report_loss()
        else:
            self._listener.received(text)

    def _report_loss(self) -> None:
        """Reports the loss once, at the first sign that no more data will come."""
        keepalive, self._keepalive = self._keepalive, None
        if keepalive is None:
            return
        keepalive.stop()
        if self.protocol.state is _CLOSING:
            # The other end should close the socket now, within a limit.
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

    def _close_silent(self) -> None:
        assert self._keepalive is not None
        self._silent_seconds = self._keepalive.silent_seconds
        self.transport.abort()
