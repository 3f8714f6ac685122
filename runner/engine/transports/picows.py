"""Transport with `picows` of the `fast` extra: WebSocket in compiled code.

Its parser and writer use the socket without a Python call per frame; most of the
remaining cost is the event loop. This module adds what the library does not do: it
joins fragments and checks that text is UTF-8.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSInvalidStatusError,
    WSInvalidURL,
    WSListener,
    WSMsgType,
    WSParsedURL,
    WSTransport,
    ws_connect,
)
from python_socks import ProxyError

from runner.engine.connection import TransportListener
from runner.engine.transports.dialer import (
    CLOSE_SECONDS,
    MAX_MESSAGE_BYTES,
    MESSAGE_TOO_BIG,
    NO_CODE,
    NOT_TEXT,
    OPEN_SECONDS,
    PROTOCOL_ERROR,
    ConnectOptions,
    Keepalive,
    limit_send_buffer,
    lost,
)

# The library writes headers, which contain the key, to its debug log.
_QUIET = logging.getLogger("vagent.transport.picows")
_QUIET.setLevel(logging.CRITICAL)

# Used for every frame: globals cost half as much as attributes.
_TEXT, _CONTINUATION = WSMsgType.TEXT, WSMsgType.CONTINUATION
_CLOSE, _NO_INFO = WSMsgType.CLOSE, WSCloseCode.NO_INFO
_DATA = (_TEXT, WSMsgType.BINARY, _CONTINUATION)


async def open_connection(options: ConnectOptions, listener: TransportListener) -> None:
    """Opens a connection and calls `opened` of the listener.

    Raises:
        AuthenticationRejected: the service rejected the key before the upgrade.
        TransportError: no WebSocket service answers at this address.
        UsageError: the address is not a WebSocket address.
    """
    sockets = _Sockets()
    try:
        _, opened = await ws_connect(
            lambda: _Connection(options, listener),
            options.url,
            socket_factory=sockets.connect,
            extra_headers=options.headers,
            max_frame_size=MAX_MESSAGE_BYTES,
            # The library would send the key to the target of a redirect.
            max_redirects=0,
            # With uvloop it does not report a connection that is closed immediately.
            use_aiofastnet=False,
            websocket_handshake_timeout=OPEN_SECONDS,
            proxy=options.proxy,
            logger_name=_QUIET,
        )
    except WSInvalidURL as error:
        raise options.invalid_address() from error
    except WSInvalidStatusError as error:
        assert error.response is not None  # its status is the error
        raise options.refused(error.response.status) from error
    except (OSError, WSError, TimeoutError, ProxyError) as error:
        raise options.unreachable(error) from error
    except asyncio.CancelledError:
        sockets.shutdown()  # the library would continue to wait for the response
        raise
    if opened is None:  # not an error for the library
        raise options.unreachable(EOFError("closed before it answered"))


class _Sockets:
    """Connects sockets for the library, and can cancel an attempt."""

    def __init__(self) -> None:
        self._opened: list[socket.socket] = []

    async def connect(self, address: WSParsedURL) -> socket.socket:
        """Returns a socket that is connected to one of the host's addresses."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )
        failure = OSError(f"{address.host} has no address")
        for family, kind, protocol, _, where in found:
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, where)
            except OSError as error:
                failure = error
                sock.close()
            except asyncio.CancelledError:
                sock.close()
                raise
            else:
                self._opened.append(sock)
                return sock
        raise failure

    def shutdown(self) -> None:
        """Shuts the sockets down; their owner closes them then."""
        for sock in self._opened:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Connection(WSListener):
    """Listener of the library and transport of the engine."""

    def __init__(self, options: ConnectOptions, listener: TransportListener) -> None:
        self.is_writable = True
        self._options = options
        self._listener = listener
        self._keepalive: Keepalive | None = None  # from the handshake to the loss
        self._silent_seconds = 0.0  # set when the connection is closed for silence
        self._fragments: bytearray | None = None  # of an incomplete message
        self._is_text = False  # the fragments are text

    def write(self, text: str) -> None:
        """Sends a text frame; has no effect after the connection was lost."""
        self._transport.send(_TEXT, text)

    async def close(self) -> None:
        """Sends the written messages, then closes; a second call has no effect."""
        if not self._transport.is_close_frame_sent:
            self._transport.send_close(WSCloseCode.OK)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._transport.wait_disconnected()
        except (TimeoutError, WSError):
            pass  # the reason was already reported
        finally:
            self._transport.disconnect(graceful=False)

    # Callbacks of the library.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        limit_send_buffer(transport.underlying_transport)
        self._keepalive = Keepalive(
            self._options, transport.send_ping, self._close_silent
        )
        self._listener.opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        keepalive = self._keepalive
        if keepalive is None or transport.is_close_frame_sent:
            # Lost or closing: the library continues to read after an error.
            return
        keepalive.data_received()
        kind = frame.msg_type
        if kind == _TEXT and frame.fin and self._fragments is None:
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError:
                self._fail(NOT_TEXT)
            else:
                self._listener.received(text)
        elif kind == _CLOSE:
            code = frame.get_close_code()
            transport.send_close(WSCloseCode.OK if code is _NO_INFO else code)
            self._report_loss()
        elif kind in _DATA:
            self._assemble(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._report_loss()

    def pause_writing(self) -> None:
        self.is_writable = False

    def resume_writing(self) -> None:
        self.is_writable = True
        if self._keepalive is not None:
            self._listener.writable()

    def _assemble(self, frame: WSFrame) -> None:
        """Adds a fragment to its message, or handles a complete binary message."""
        if (frame.msg_type == _CONTINUATION) != (self._fragments is not None):
            self._fail(PROTOCOL_ERROR)
            return
        if self._fragments is None:
            self._fragments = bytearray()
            self._is_text = frame.msg_type == _TEXT
        if len(self._fragments) + frame.payload_size > MAX_MESSAGE_BYTES:
            self._fail(MESSAGE_TOO_BIG)
            return
        self._fragments += frame.get_payload_as_memoryview()
        if frame.fin:
            whole, self._fragments = self._fragments, None
            try:
                text = whole.decode() if self._is_text else bytes(whole)
            except UnicodeDecodeError:
                self._fail(NOT_TEXT)
            else:
                self._listener.received(text)

    def _fail(self, code: int) -> None:
        self._transport.send_close(WSCloseCode(code))
        self._report_loss()

    def _report_loss(self) -> None:
        """Reports the loss once, at the first sign that no more data will come."""
        keepalive, self._keepalive = self._keepalive, None
        if keepalive is None:
            return
        keepalive.stop()
        if not self._transport.is_disconnected:
            # The other end should close the socket now, within a limit.
            loop = asyncio.get_running_loop()
            loop.call_later(CLOSE_SECONDS, self._transport.disconnect, False)
        ends = self._transport.close_handshake
        received, sent = (ends.recv, ends.sent) if ends is not None else (None, None)
        told = None
        if received is not None and (sent is None or ends.recv_then_sent):
            told = received.code.value or NO_CODE, received.reason or ""
        self._listener.lost(
            lost(
                told,
                None if sent is None else sent.code.value,
                silent_seconds=self._silent_seconds,
            )
        )

    def _close_silent(self) -> None:
        assert self._keepalive is not None
        self._silent_seconds = self._keepalive.silent_seconds
        self._transport.disconnect(graceful=False)
