"""The wire by `picows`, of the `fast` extra: the WebSocket protocol in compiled code.

Its parser and its writer work on the socket without a Python call for a frame; all that
is left of the wire's cost is the event loop. What the library does not do is done here:
whole messages from fragments, and a check that text is UTF-8.
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

# The library writes headers, and with them the key, to its debug log: never.
_QUIET = logging.getLogger("vagent.transport.picows")
_QUIET.setLevel(logging.CRITICAL)

# Looked up for every frame: as globals they cost half.
_TEXT, _CONTINUATION = WSMsgType.TEXT, WSMsgType.CONTINUATION
_CLOSE, _NO_INFO = WSMsgType.CLOSE, WSCloseCode.NO_INFO
_DATA = (_TEXT, WSMsgType.BINARY, _CONTINUATION)


async def open_connection(dialing: ConnectOptions, listener: TransportListener) -> None:
    """Open a connection and tell the listener of it.

    Raises:
        AuthenticationRejected: the service turned the key down before the upgrade.
        TransportError: there is no service that speaks WebSocket at this address.
        UsageError: the address is no WebSocket address.
    """
    sockets = _Sockets()
    try:
        _, opened = await ws_connect(
            lambda: _Connection(dialing, listener),
            dialing.url,
            socket_factory=sockets.connect,
            extra_headers=dialing.headers,
            max_frame_size=MAX_MESSAGE_BYTES,
            # The library would hand the key to wherever it is sent.
            max_redirects=0,
            # Under uvloop it does not tell of a connection that was closed at once.
            use_aiofastnet=False,
            websocket_handshake_timeout=OPEN_SECONDS,
            proxy=dialing.proxy,
            logger_name=_QUIET,
        )
    except WSInvalidURL as error:
        raise dialing.misspelt() from error
    except WSInvalidStatusError as error:
        assert error.response is not None  # there is one: its status is the error
        raise dialing.refused(error.response.status) from error
    except (OSError, WSError, TimeoutError, ProxyError) as error:
        raise dialing.unreachable(error) from error
    except asyncio.CancelledError:
        sockets.cut()  # the library would wait on for the answer
        raise
    if opened is None:  # the library does not count this as an error
        raise dialing.unreachable(EOFError("closed before it answered"))


class _Sockets:
    """Connects for the library, and keeps what it needs to take a try back."""

    def __init__(self) -> None:
        self._opened: list[socket.socket] = []

    async def connect(self, address: WSParsedURL) -> socket.socket:
        """Return a socket that is connected to one of the host's addresses."""
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

    def cut(self) -> None:
        """End what was connected; who holds the socket closes it then."""
        for sock in self._opened:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Connection(WSListener):
    """The library's listener as a transport that calls ours."""

    def __init__(self, dialing: ConnectOptions, listener: TransportListener) -> None:
        self.is_writable = True
        self._dialing = dialing
        self._listener = listener
        self._pulse: Keepalive | None = None  # from the handshake to the loss
        self._silent_seconds = 0.0  # set when the line is given up for that
        self._fragments: bytearray | None = None  # of a message that is not whole yet
        self._is_text = False  # what the fragments are

    def write(self, text: str) -> None:
        """Send a text frame; does nothing once the connection is gone."""
        self._wire.send(_TEXT, text)

    async def close(self) -> None:
        """Send what was written, then close; closing a closed one is fine."""
        if not self._wire.is_close_frame_sent:
            self._wire.send_close(WSCloseCode.OK)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._wire.wait_disconnected()
        except (TimeoutError, WSError):
            pass  # why it was closed is told already
        finally:
            self._wire.disconnect(graceful=False)

    # --------------------------------------------------- what the library calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._wire = transport
        limit_send_buffer(transport.underlying_transport)
        self._pulse = Keepalive(self._dialing, transport.send_ping, self._give_up)
        self._listener.opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        pulse = self._pulse
        if pulse is None or transport.is_close_frame_sent:
            # Lost, or about to be: the library goes on reading after an error.
            return
        pulse.hear()
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
            self._lose()
        elif kind in _DATA:
            self._assemble(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._lose()

    def pause_writing(self) -> None:
        self.is_writable = False

    def resume_writing(self) -> None:
        self.is_writable = True
        if self._pulse is not None:
            self._listener.writable()

    # ---------------------------------------------------------------------- ends

    def _assemble(self, frame: WSFrame) -> None:
        """Add a frame to its message, or take a whole one that is not text."""
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
        self._wire.send_close(WSCloseCode(code))
        self._lose()

    def _lose(self) -> None:
        """Tell of the loss, once: at the first sign that nothing more will come."""
        pulse, self._pulse = self._pulse, None
        if pulse is None:
            return
        pulse.stop()
        if not self._wire.is_disconnected:
            # The other end should close the socket now; it is not waited for.
            loop = asyncio.get_running_loop()
            loop.call_later(CLOSE_SECONDS, self._wire.disconnect, False)
        ends = self._wire.close_handshake
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

    def _give_up(self) -> None:
        assert self._pulse is not None
        self._silent_seconds = self._pulse.silent_seconds
        self._wire.disconnect(graceful=False)
