"""Sound in order whose end and new beginning are smooth where it ran out.

When the sound runs out nobody knows yet that it has: the last milliseconds are lowered
as they are taken, and raised again as soon as more has come. So nothing is held back,
and no two samples differ by more than the sound itself and a slow ramp make them.
"""

from __future__ import annotations

import numpy as np

from runner.audio.framing import ByteQueue
from runner.audio.pcm import fade_out, scale


class FadeBuffer:
    """Interleaved PCM16, appended in pieces and taken in others.

    Not thread-safe: whoever shares one holds a lock.
    """

    def __init__(self, channels: int, fade_frames: int) -> None:
        """Fade over so many frames at a gap; with 0 not at all."""
        self._channels = channels
        self._fade = fade_frames
        self._queue = ByteQueue()
        self._gain = 1.0  # of the frame that was taken last
        self.is_whole = False  # nothing is to follow what is in it
        self.is_cut = False  # what is in it was the beginning of more

    def __len__(self) -> int:
        return len(self._queue)

    def append(self, pcm: bytes | memoryview, *, is_last: bool = False) -> None:
        """Add at the end; what is known to be the last ends as it is."""
        self._queue.append(pcm)
        self.is_whole = is_last
        self.is_cut = False

    def begin(self, *, is_resumed: bool) -> None:
        """Note that what comes now follows silence, perhaps in the middle of a word."""
        if len(self._queue):
            return  # an end is still being taken
        self._gain = 0.0 if is_resumed and self._fade else 1.0

    def take(self, size: int) -> bytes:
        """Remove and return the first bytes, at most so many, smoothed."""
        piece = self._queue.take(size)
        left = self._frames(len(self._queue))
        is_near_end = left < self._fade and not self.is_whole
        if piece and self._fade and (self._gain < 1.0 or is_near_end):
            return self._shape(piece, left)
        return piece

    def cut(self, frames: int) -> int:
        """Throw all away but these first frames, faded; return how many are gone.

        What is being faded already goes on so.
        """
        if self.is_cut:
            return 0
        kept = self._queue.take(frames * 2 * self._channels)
        gone = self._frames(len(self._queue))
        self._queue.clear()
        # So near its end, what is not known to be the last is being faded as it is.
        is_fading = not self.is_whole and self._frames(len(kept)) <= self._fade
        if not is_fading:
            kept = fade_out(kept, self._channels)
        self.append(kept, is_last=not is_fading)
        self.is_cut = True
        return gone

    def empty(self) -> bytes:
        """Remove and return what is in it, as it was appended."""
        return self._queue.take(len(self._queue))

    def _shape(self, piece: bytes, left: int) -> bytes:
        frames = self._frames(len(piece))
        numbers = np.arange(1, frames + 1, dtype=np.float32)
        gains = np.minimum(self._gain + numbers / self._fade, 1.0)
        if not self.is_whole:
            gains = np.minimum(gains, (frames - numbers + left) / self._fade)
        self._gain = float(gains[-1])
        return scale(piece, gains, self._channels)

    def _frames(self, size: int) -> int:
        return size // (2 * self._channels)
