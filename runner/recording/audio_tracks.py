"""Both voices of a call as sound without gaps, by the times of what happened.

A track is fed with times in seconds since the call began, and gives 24 kHz mono PCM16
that begins with the call.
"""

from __future__ import annotations

from runner.audio.devices import FRAME_MS, MICROPHONE_BACKLOG_MS, SAMPLE_RATE
from runner.audio.pcm import interleave
from runner.audio.playback import PlaybackBuffer

_FRAME = SAMPLE_RATE * FRAME_MS // 1000
# A loop that was held up gets the microphone's frames late and in a burst, and then no
# sound is missing; what is later than the microphone's backlog is missing.
_PATIENCE = SAMPLE_RATE * MICROPHONE_BACKLOG_MS // 1000 + _FRAME


class CallerTrack:
    """What the microphone gave, with silence where it gave nothing."""

    def __init__(self) -> None:
        self.position = 0  # samples since the call began
        self._sound = bytearray()
        self._is_running = False  # frames follow one another

    def hear(self, at: float, pcm: bytes) -> None:
        """Append a frame that was complete at this time."""
        size = len(pcm) // 2
        late = round(at * SAMPLE_RATE) - size - self.position
        if late > (_PATIENCE if self._is_running else 0):
            self._pause(late)
        self._sound += pcm[: 2 * size]
        self.position += size
        self._is_running = True

    def advance(self, at: float) -> None:
        """Let time pass: where no frame can come any more, there was silence."""
        behind = round(at * SAMPLE_RATE) - self.position
        if behind > _PATIENCE:
            self._is_running = False
        if not self._is_running and behind > _FRAME:
            self._pause(behind - _FRAME)

    def finish(self, position: int) -> None:
        """Fill up with silence to the end of the call, in samples."""
        self._pause(max(0, position - self.position))

    def take(self) -> bytes:
        """Return what is new."""
        new = bytes(self._sound)
        self._sound.clear()
        return new

    def _pause(self, samples: int) -> None:
        self._sound += bytes(2 * samples)
        self.position += samples


class AgentTrack:
    """What a speaker played: the same buffer as the speaker's, emptied by the times."""

    def __init__(self) -> None:
        self.position = 0  # samples since the call began
        self._buffer = PlaybackBuffer()
        # Pieces come every 10 ms. One that follows before the buffer has run out may as
        # well be written with those after it: that is the same, and costs a tenth.
        self._following = bytearray()
        self._lasts_until = 0  # the position at which the buffer runs out
        self._sound = bytearray()

    def play(self, at: float, pcm: bytes) -> None:
        """Append sound to what is being played."""
        due = round(at * SAMPLE_RATE)
        if due < self._lasts_until:
            self._following += pcm[: len(pcm) & ~1]
            self._lasts_until += len(pcm) // 2
            return
        self._read(due)
        self._buffer.write(pcm)
        self._lasts_until = self.position + self._pending

    def stop(self, at: float) -> None:
        """Drop what has not been played yet, but for a short fade."""
        self.advance(at)
        self._buffer.clear()
        self._lasts_until = self.position + self._pending

    def advance(self, at: float) -> None:
        """Play what has become due."""
        self._read(round(at * SAMPLE_RATE))

    def finish(self) -> None:
        """Play what is left: the last words of a call that ended well."""
        self._settle()
        self._read(self.position + self._pending)

    def fill(self, position: int) -> None:
        """Go on to the end of the call, in samples."""
        self._read(position)

    def take(self) -> bytes:
        """Return what is new."""
        new = bytes(self._sound)
        self._sound.clear()
        return new

    @property
    def _pending(self) -> int:
        return round(self._buffer.pending_ms * SAMPLE_RATE / 1000)

    def _settle(self) -> None:
        if self._following:
            self._buffer.write(bytes(self._following))
            self._following.clear()
            self._lasts_until = self.position + self._pending

    def _read(self, position: int) -> None:
        self._settle()
        samples = position - self.position
        if samples > 0:
            self._sound += self._buffer.read(2 * samples)
            self.position += samples


class Stereo:
    """Lays the caller left and the agent right, as far as both are known."""

    def __init__(self) -> None:
        self._left = bytearray()
        self._right = bytearray()

    @property
    def pending(self) -> int:
        """How much can be laid together, in bytes of one side."""
        return min(len(self._left), len(self._right))

    def add(self, left: bytes, right: bytes) -> None:
        """Take in what is new of both."""
        self._left += left
        self._right += right

    def take(self) -> bytes:
        """Return what can be laid together."""
        size = self.pending
        both = interleave(bytes(self._left[:size]), bytes(self._right[:size]))
        del self._left[:size], self._right[:size]
        return both
