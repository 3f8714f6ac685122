"""What is to be played next: filled by the loop, emptied by a device's own thread.

Pure but for one lock that is held for microseconds; time is counted in what was read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from runner.audio.devices import SAMPLE_RATE
from runner.audio.jitter import PAUSE_MS
from runner.audio.smoothing import FadeBuffer

# Between a click (under 10 ms) and a word that still ends (over 20 ms).
FADE_MS = 15.0
# The service paces replies in 10 ms pieces as they are spoken; without a start like
# this every late packet would be a gap. Ahead of a reply, never inside one.
CUSHION_MS = 60.0
# Silence shorter than this between two pieces was not meant.
_UNDERRUN_MS = PAUSE_MS


@dataclass(frozen=True, slots=True)
class PlaybackLimits:
    """Bounds of a playback buffer, in milliseconds."""

    # No reply is this long; one that were would be cut at its end, see `write`.
    cap_ms: float = 120_000.0
    cushion_ms: float = CUSHION_MS
    # `on_low` is called when less than this is left: time to bring more.
    low_ms: float = 30.0
    # Sound that runs out grows silent over so much of it, and what follows a gap grows
    # loud as long: neither is a step then. For ears; what is read is otherwise just
    # what was written.
    soft_ms: float = 0.0


@dataclass(slots=True)
class PlaybackCounts:
    """What became of the sound so far; frames are samples of all channels at once."""

    played_frames: int = 0  # given to the device; silence in between does not count
    cleared_frames: int = 0  # thrown away by `clear`
    dropped_frames: int = 0  # refused because the buffer was full
    underruns: int = 0  # times that a reply had a gap because its sound came late
    rate: int = SAMPLE_RATE  # frames a second

    def at_rate(self, rate: int) -> PlaybackCounts:
        """Return the same amounts of time in frames of another rate."""
        ratio = rate / self.rate
        return PlaybackCounts(
            round(self.played_frames * ratio),
            round(self.cleared_frames * ratio),
            round(self.dropped_frames * ratio),
            self.underruns,
            rate,
        )


class PlaybackBuffer:
    """Holds interleaved PCM16 on its way from the loop to a device.

    The loop calls `write` and `clear`, the device's thread `read`.

    `on_low` is called in the reader's thread, without the lock, each time that what is
    left falls under `low_ms` and each time that it becomes nothing.
    """

    def __init__(
        self,
        rate: int = SAMPLE_RATE,
        channels: int = 1,
        *,
        limits: PlaybackLimits | None = None,
        on_low: Callable[[], None] | None = None,
    ) -> None:
        self.counts = PlaybackCounts(rate=rate)
        self._frame_bytes = 2 * channels
        self._limits = limits or PlaybackLimits()
        self._on_low = on_low
        self._lock = Lock()
        self._sound = FadeBuffer(channels, self._frames(self._limits.soft_ms))
        self._lead = 0  # bytes of the cushion that are still to be read
        self._ahead = 0  # bytes of an earlier run that are to be read before it
        # Bytes of silence read since the sound ran out; None when that was no accident.
        self._gap: int | None = None

    @property
    def pending_ms(self) -> float:
        """How much is buffered and not yet read, in milliseconds."""
        pending = self._lead + len(self._sound)
        return pending * 1000 / (self.counts.rate * self._frame_bytes)

    @property
    def is_dry(self) -> bool:
        """Whether nothing waits, or only an end: what is written next begins a run."""
        return self._sound.is_whole or not len(self._sound)

    def write(
        self, pcm: bytes, *, is_tail: bool = False, cushion_ms: float | None = None
    ) -> None:
        """Append sound; what starts an empty buffer is preceded by the cushion.

        The tail of something needs none: no more is going to come late after it. It
        ends in silence by itself.

        Beyond the cap the newest is refused and counted: what is being heard then goes
        on unbroken, where dropping the oldest would make it jump. Half a frame at the
        end is dropped, so that one odd message cannot shift all that follow.
        """
        whole = len(pcm) - len(pcm) % self._frame_bytes
        cap = self._bytes(self._limits.cap_ms)
        with self._lock:
            taken = max(0, min(whole, cap - len(self._sound)))
            self.counts.dropped_frames += (whole - taken) // self._frame_bytes
            if taken and (not self._sound or (self._sound.is_whole and not is_tail)):
                cushion = self._limits.cushion_ms if cushion_ms is None else cushion_ms
                self._begin(self._bytes(cushion), is_tail)
            self._sound.append(memoryview(pcm)[:taken], is_last=is_tail)

    def read(self, size: int) -> bytes:
        """Take so many bytes for the device; what is missing is silence."""
        with self._lock:
            before = self._lead + len(self._sound)
            end = self._sound.take(min(self._ahead, size))
            self._ahead -= len(end)
            lead = min(self._lead, size - len(end))
            self._lead -= lead
            sound = self._sound.take(size - len(end) - lead)
            missing = size - len(end) - lead - len(sound)
            after = self._lead + len(self._sound)
            if self._gap is not None:
                self._gap += missing
            elif before and not after and not self._sound.is_cut:
                self._gap = missing
            self.counts.played_frames += (len(end) + len(sound)) // self._frame_bytes
        low = self._bytes(self._limits.low_ms)
        if self._on_low and (after < low <= before or (before and not after)):
            self._on_low()
        return b"".join((end, bytes(lead), sound, bytes(missing)))

    def clear(self, fade_ms: float = FADE_MS) -> float:
        """Throw away what is buffered, but for a short linear fade to silence.

        Returns how much was thrown away, in milliseconds.

        Nothing is kept of a sound that has not begun. Clearing twice lets the
        fade go on.
        """
        with self._lock:
            fade = self._frames(fade_ms)
            if self._lead:
                fade = min(fade, self._ahead // self._frame_bytes)
            cleared = self._sound.cut(fade)
            self.counts.cleared_frames += cleared
            self._lead = self._ahead = 0
            self._gap = None
        return cleared * 1000 / self.counts.rate

    def empty(self) -> bytes:
        """Remove and return what is buffered: it is played elsewhere."""
        with self._lock:
            self._lead = self._ahead = 0
            self._gap = None
            return self._sound.empty()

    def _frames(self, milliseconds: float) -> int:
        return round(milliseconds * self.counts.rate / 1000)

    def _bytes(self, milliseconds: float) -> int:
        return self._frames(milliseconds) * self._frame_bytes

    def _begin(self, cushion: int, is_tail: bool) -> None:
        """Enter a new run of sound: judge the gap before it, lay the cushion.

        What follows an end that is still to be read came so late that the next of it
        would be later: the gap is made here, where it can be smooth.
        """
        is_late = bool(self._sound) and not self._sound.is_cut
        is_resumed = self._gap is not None and self._gap < self._bytes(_UNDERRUN_MS)
        self._lead = 0 if is_tail else cushion
        self._ahead = len(self._sound)
        # What came just in time for the next block follows a gap too: the cushion. And
        # a tail is not what came late.
        self.counts.underruns += (
            (is_resumed or is_late) and not is_tail and bool(self._gap or self._lead)
        )
        self._gap = None
        self._sound.begin(is_resumed=is_resumed)
