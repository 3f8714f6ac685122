"""Cuts a stream of bytes into frames of one length, or into any length asked for."""

from __future__ import annotations

from collections import deque


class Framer:
    """Takes pieces of any length and gives back whole frames, in order.

    What does not fill a frame is kept for the next piece. No byte is lost or repeated.
    """

    def __init__(self, frame_bytes: int) -> None:
        if frame_bytes < 1:
            raise ValueError(f"a frame of {frame_bytes} bytes")
        self._frame_bytes = frame_bytes
        self._rest = b""

    @property
    def rest_bytes(self) -> int:
        """How many bytes wait for a frame to be filled."""
        return len(self._rest)

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece; return the frames that it completes, perhaps none."""
        stream = self._rest + piece
        size = self._frame_bytes
        whole = len(stream) - len(stream) % size
        self._rest = stream[whole:]
        return [stream[start : start + size] for start in range(0, whole, size)]

    def flush(self) -> bytes:
        """Return the rest, filled with silence to a frame; empty when there is none."""
        rest, self._rest = self._rest, b""
        return rest.ljust(self._frame_bytes, b"\0") if rest else b""


class ByteQueue:
    """Bytes in order, appended in pieces and taken in others, without moving the rest.

    Not thread-safe: whoever shares one holds a lock.
    """

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, piece: bytes | memoryview) -> None:
        """Add at the end."""
        if len(piece):
            self._pieces.append(memoryview(piece))
            self._length += len(piece)

    def take(self, size: int) -> bytes:
        """Remove and return the first bytes, at most so many."""
        taken: list[memoryview] = []
        wanted = min(size, self._length)
        self._length -= wanted
        while wanted:
            piece = self._pieces.popleft()
            if len(piece) > wanted:
                self._pieces.appendleft(piece[wanted:])
                piece = piece[:wanted]
            taken.append(piece)
            wanted -= len(piece)
        return b"".join(taken)

    def clear(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self._length = 0
