"""Whether a stream still calls back, told from how many blocks there were."""

from __future__ import annotations

from runner.audio.portaudio.library import Direction

# Seconds. Blocks come each 10 ms; whatever takes a hundred of them is no hiccup.
STALL_SECONDS = 1.0
# PulseAudio's null sink hands over its first block after up to two seconds; a speaker
# there fills its buffer at once, and then waits as long.
FIRST_SECONDS = 4.0
# More blocks than a buffer holds: so many prove that the device plays or records.
_FIRST_BLOCKS: dict[Direction, int] = {"input": 1, "output": 20}


def has_begun(side: Direction, blocks: int) -> bool:
    """Tell whether so many blocks prove that the device is at work."""
    return blocks >= _FIRST_BLOCKS[side]


class StallDetector:
    """Judges one side of one opening; asked several times a second."""

    def __init__(self, side: Direction, now: float) -> None:
        self._side = side
        self._blocks = 0
        self._moved_at = now  # when the count was last seen to change
        self._asked_at = now

    def has_stalled(self, blocks: int, now: float) -> bool:
        """Tell whether no block came for too long, given how many there were so far.

        A pause between two questions that is itself that long proves nothing: then
        this process stood still, and the stream with it.
        """
        was_asleep = now - self._asked_at >= STALL_SECONDS
        self._asked_at = now
        if blocks != self._blocks or was_asleep:
            self._blocks = blocks
            self._moved_at = now
        limit = STALL_SECONDS if has_begun(self._side, blocks) else FIRST_SECONDS
        return now - self._moved_at >= limit
