"""What a sound card recorded and nobody has taken yet: filled by the device's thread.

The mirror of the playback buffer; one lock, held for microseconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock

from runner.audio.devices import MICROPHONE_BACKLOG_MS


@dataclass(frozen=True, slots=True)
class Block:
    """Interleaved PCM16, and when its first sample was heard, on the stream's clock."""

    pcm: bytes
    at: float


class CaptureQueue:
    """Holds recorded blocks of interleaved PCM16, at most so many milliseconds of them.

    When it is full the oldest go and are counted: what is said now is sent now.
    """

    def __init__(
        self, rate: int, channels: int, limit_ms: float = MICROPHONE_BACKLOG_MS
    ) -> None:
        self._bytes_per_ms = rate * channels * 2 / 1000
        self._limit_ms = limit_ms
        self._lock = Lock()
        self._blocks: deque[Block] = deque()
        self._pending = 0  # bytes in `_blocks`
        self._dropped = 0  # bytes

    @property
    def dropped_ms(self) -> float:
        """How much was thrown away because nobody took it in time."""
        return self._dropped / self._bytes_per_ms

    def put(self, block: Block) -> bool:
        """Append a block; return whether it is the only one: wake the reader."""
        with self._lock:
            self._blocks.append(block)
            self._pending += len(block.pcm)
            limit = self._limit_ms * self._bytes_per_ms
            while self._pending > limit and len(self._blocks) > 1:
                oldest = self._blocks.popleft()
                self._pending -= len(oldest.pcm)
                self._dropped += len(oldest.pcm)
            return len(self._blocks) == 1

    def take(self) -> Block | None:
        """Remove and return the oldest block; None when there is none."""
        with self._lock:
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._pending -= len(block.pcm)
            return block
