"""The service of `sessions.py`: a server that does next to nothing, for many sessions.

It answers `session.update` with `session.ready`, then streams 50 ms of `reply.audio`
twenty times a second, and every few seconds interrupts the reply, stamped with the time
at which it did so. What it receives is counted by frame and not looked into, but for
short messages. On the path `/burst` everything comes at once, without a clock.

The frames are built once and the WebSocket is spoken by hand, so that this process
never is what limits the clients that are measured.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
import time
from typing import Any

CHUNK_SECONDS = 0.05
CHUNK_BYTES = 2400  # 50 ms of 24 kHz PCM16
CHUNKS_A_REPLY = 60  # an interruption every three seconds
BURST_CHUNKS = 20
_GOLDEN = 0.618_034  # spreads the sessions evenly over a period, whatever their number
_SHORT_BYTES = 1000  # messages up to this are read: they are not audio

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


def frame(message: dict[str, Any]) -> bytes:
    """Return a message as a WebSocket text frame of a server."""
    text = json.dumps(message, separators=(",", ":")).encode()
    if len(text) < 126:
        return struct.pack("!BB", 0x81, len(text)) + text
    return struct.pack("!BBH", 0x81, 126, len(text)) + text


def _tone() -> bytes:
    samples = (8000 if index // 40 % 2 else -8000 for index in range(CHUNK_BYTES // 2))
    return struct.pack(f"<{CHUNK_BYTES // 2}h", *samples)


READY = frame({"type": "session.ready", "session_id": "sess_1", "timestamp": 1.5})
ENDED = frame({"type": "session.ended", "session_duration_seconds": 1.0})
STARTED = frame({"type": "reply.started", "reply_id": "resp_1", "timestamp": 1.5})
AUDIO = frame(
    {
        "type": "reply.audio",
        "data": base64.b64encode(_tone()).decode(),
        "reply_id": "resp_1",
        "timestamp": 1763800000.123,
    }
)
INTERRUPTED = frame(
    {"type": "reply.done", "reply_id": "resp_1", "status": "interrupted"}
)
STOPPED = frame({"type": "input.speech.stopped", "timestamp": 1.5})


class Streamer(asyncio.Protocol):
    """One connection."""

    def __init__(self, number: int) -> None:
        self._phase = number * _GOLDEN % 1 * CHUNK_SECONDS
        self._chunks = number % CHUNKS_A_REPLY  # not all are interrupted together
        self._received = b""
        self._is_open = False
        self._is_burst = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_open and not self._shake_hands():
            return
        while self._take_frame():
            pass

    def _shake_hands(self) -> bool:
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return False
        lines = head.split(b"\r\n")
        pairs = [line.split(b":", 1) for line in lines[1:]]
        headers = {name.lower(): value.strip() for name, value in pairs}
        digest = hashlib.sha1(headers[b"sec-websocket-key"] + _MAGIC).digest()
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
            + base64.b64encode(digest)
            + b"\r\n\r\n"
        )
        self._is_burst = b"/burst" in lines[0]
        self._is_open = True
        self._received = rest
        return True

    def _take_frame(self) -> bool:
        received = self._received
        if len(received) < 2:
            return False
        head, length = received[0], received[1] & 0x7F
        start = 2
        if length == 126:
            if len(received) < 4:
                return False
            (length,) = struct.unpack_from("!H", received, 2)
            start = 4
        end = start + 4 + length  # a client's frame has a mask of four bytes
        if len(received) < end:
            return False
        self._received = received[end:]
        if head == 0x88:
            self._transport.write(b"\x88\x02\x03\xe8")
            self._transport.close()
        elif head == 0x89:
            self._transport.write(b"\x8a\x00")
        elif length < _SHORT_BYTES:
            mask, coded = received[start : start + 4], received[start + 4 : end]
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(coded))
            self._take_message(json.loads(text)["type"])
        return True

    def _take_message(self, kind: str) -> None:
        if kind == "session.update":
            self._transport.write(READY + STARTED)
            if self._is_burst:
                parts = (AUDIO * BURST_CHUNKS, self._interruption(), INTERRUPTED)
                self._transport.write(b"".join(parts))
            else:
                self._due = asyncio.get_running_loop().time() + self._phase
                self._stream()
        elif kind == "session.end":
            self._transport.write(ENDED)

    def _stream(self) -> None:
        self._due += CHUNK_SECONDS
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._due, self._stream)
        self._chunks += 1
        if self._chunks % CHUNKS_A_REPLY:
            self._transport.write(AUDIO)
        else:
            self._transport.write(self._interruption())
            self._transport.write(INTERRUPTED + STOPPED + STARTED + AUDIO)

    def _interruption(self) -> bytes:
        return frame({"type": "input.speech.started", "timestamp": time.time()})


async def stream_for_ever() -> None:
    """Serve on a free port of this machine, which is reported on stdout."""
    count = 0

    def accept() -> Streamer:
        nonlocal count
        count += 1
        return Streamer(count)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(stream_for_ever())
