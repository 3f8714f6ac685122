"""How loud both sides are, in steps of a meter, and what of the agent is being heard.

Computed from the sound that passes and its times; no device is asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from runner.audio.pcm import SILENCE_DBFS, loudness

STEPS = 8
# The lowest step that shows begins above room noise, the highest at loud speech.
QUIETEST_DBFS = -50.0
LOUDEST_DBFS = -10.0
_MS_A_SLICE = 50
_BYTES_A_SECOND = 48_000  # 24 kHz, 16 bits, mono
_SLICE = _BYTES_A_SECOND * _MS_A_SLICE // 1000
# Sound of the microphone older than this shows nothing: the device has stopped.
_STALE_SECONDS = 0.5


def step(dbfs: float) -> int:
    """Return a level as a step of the meter, 0 for quiet to `STEPS`."""
    share = (dbfs - QUIETEST_DBFS) / (LOUDEST_DBFS - QUIETEST_DBFS)
    return max(0, min(STEPS, round(share * STEPS)))


@dataclass(slots=True)
class InputLevel:
    """The microphone's level; nothing is computed before somebody looks."""

    _pcm: bytes = b""
    _at: float = -1e9

    def hear(self, at: float, pcm: bytes) -> None:
        """Take in a frame."""
        self._at, self._pcm = at, pcm

    def at(self, now: float) -> int:
        """Return the step that a meter shows."""
        if now - self._at > _STALE_SECONDS:
            return 0
        return step(loudness(self._pcm))


@dataclass(slots=True)
class PlaybackLevel:
    """The agent's sound in the order of its playing; `ends` is when it will be over.

    Sound comes faster than it is heard, so each piece has a time of its own. Times are
    seconds of the engine's clock.
    """

    ends: float = 0.0
    _slices: deque[tuple[float, bytes]] = field(default_factory=deque)

    def play(self, at: float, pcm: bytes) -> float:
        """Take in sound that was handed to the speaker; return when it is heard."""
        begins = max(at, self.ends)
        for start in range(0, len(pcm), _SLICE):
            piece = pcm[start : start + _SLICE]
            self._slices.append((begins + start / _BYTES_A_SECOND, piece))
        self.ends = begins + len(pcm) / _BYTES_A_SECOND
        self._forget(at)
        return begins

    def stop(self, at: float) -> None:
        """Forget what was not heard yet."""
        self.ends = min(self.ends, at)
        self._slices.clear()

    def is_heard(self, now: float) -> bool:
        """Whether the agent is heard at this moment."""
        return now < self.ends

    def at(self, now: float) -> int:
        """Return the step that a meter shows."""
        self._forget(now)
        if not self._slices or now >= self.ends or self._slices[0][0] > now:
            return 0
        level = loudness(self._slices[0][1])
        return 0 if level <= SILENCE_DBFS else step(level)

    def _forget(self, now: float) -> None:
        # The latest one that has begun is being heard.
        while len(self._slices) > 1 and self._slices[1][0] <= now:
            self._slices.popleft()
