"""Cuts a stream of bytes into frames of one length."""

from __future__ import annotations


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
