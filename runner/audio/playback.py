"""What is to be played next: filled by the loop, emptied by a device's own thread.

Pure but for one lock that is held for microseconds; time is counted in what was read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from runner.audio.devices import SAMPLE_RATE
from runner.audio.framing import ByteQueue
from runner.audio.jitter import PAUSE_MS
from runner.audio.pcm import fade_in, fade_out, reverse

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
    # Sound that breaks off is followed by so much of it backwards, growing silent, and
    # what follows a gap grows loud as long: neither is a step then. For ears; what is
    # read is otherwise just what was written.
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
        self._rate = rate
        self._channels = channels
        self._limits = limits or PlaybackLimits()
        self._on_low = on_low
        self._lock = Lock()
        self._sound = ByteQueue()
        self._lead = 0  # bytes of the cushion that are still to be read
        self._latest = b""  # what was read last, so much as an end needs
        self._end = b""  # of the sound that broke off, still to be read
        self._is_fading = False  # the sound that is left was cleared
        # Bytes of silence read since the sound ran out; None when that was no accident.
        self._gap: int | None = None

    @property
    def pending_ms(self) -> float:
        """How much is buffered and not yet read, in milliseconds."""
        pending = self._lead + len(self._sound)
        return pending * 1000 / (self._rate * self._frame_bytes)

    @property
    def is_dry(self) -> bool:
        """Whether no sound waits: what is written next begins a run."""
        return not len(self._sound)

    def write(
        self, pcm: bytes, *, is_tail: bool = False, cushion_ms: float | None = None
    ) -> None:
        """Append sound; what starts an empty buffer is preceded by the cushion.

        The tail of something needs none: no more is going to come late after it.

        Beyond the cap the newest is refused and counted: what is being heard then goes
        on unbroken, where dropping the oldest would make it jump. Half a frame at the
        end is dropped, so that one odd message cannot shift all that follow.
        """
        whole = len(pcm) - len(pcm) % self._frame_bytes
        cap = self._bytes(self._limits.cap_ms)
        with self._lock:
            taken = max(0, min(whole, cap - len(self._sound)))
            self.counts.dropped_frames += (whole - taken) // self._frame_bytes
            if taken and not self._sound:
                cushion = self._limits.cushion_ms if cushion_ms is None else cushion_ms
                if self._begin(0 if is_tail else self._bytes(cushion)):
                    soft = min(taken, self._bytes(self._limits.soft_ms))
                    self._sound.append(fade_in(pcm[:soft], self._channels))
                    self._sound.append(memoryview(pcm)[soft:taken])
                    return
            self._sound.append(memoryview(pcm)[:taken])

    def read(self, size: int) -> bytes:
        """Take so many bytes for the device; what is missing is silence."""
        with self._lock:
            before = self._lead + len(self._sound)
            lead = min(self._lead, size)
            self._lead -= lead
            sound = self._sound.take(size - lead)
            missing = size - lead - len(sound)
            if self._gap is not None:
                self._gap += missing
            elif before and missing:
                self._gap = missing
                self._end = b"" if self._is_fading else self._soft_end(sound)
            after = self._lead + len(self._sound)
            self.counts.played_frames += len(sound) // self._frame_bytes
            quiet = lead if sound else lead + missing
            before_sound, self._end = self._take_end(quiet)
            after_sound = b""
            if sound and missing:
                after_sound, self._end = self._take_end(missing)
            self._keep(sound)
        low = self._bytes(self._limits.low_ms)
        if self._on_low and (after < low <= before or (before and not after)):
            self._on_low()
        if not sound:
            return before_sound + bytes(size - len(before_sound))
        return b"".join(
            (
                before_sound.ljust(lead, b"\0"),
                sound,
                after_sound.ljust(missing, b"\0"),
            )
        )

    def clear(self, fade_ms: float = FADE_MS) -> float:
        """Throw away what is buffered, but for a short linear fade to silence.

        Returns how much was thrown away, in milliseconds.

        Nothing is kept of a sound that has not begun. Clearing twice fades the fade:
        still without a step.
        """
        with self._lock:
            has_begun = not self._lead
            kept = self._sound.take(self._bytes(fade_ms) if has_begun else 0)
            cleared = len(self._sound) // self._frame_bytes
            self.counts.cleared_frames += cleared
            self._sound.clear()
            self._sound.append(fade_out(kept, self._channels))
            self._lead = 0
            self._gap, self._end, self._is_fading = None, b"", True
        return cleared * 1000 / self._rate

    def empty(self) -> bytes:
        """Remove and return what is buffered: it is played elsewhere."""
        with self._lock:
            self._lead = 0
            self._gap = None
            return self._sound.take(len(self._sound))

    @property
    def _frame_bytes(self) -> int:
        return 2 * self._channels

    def _bytes(self, milliseconds: float) -> int:
        return round(milliseconds * self._rate / 1000) * self._frame_bytes

    def _begin(self, lead: int) -> bool:
        """Enter a new run of sound; return whether the gap before it was an accident.

        Lays the cushion ahead of it.
        """
        is_underrun = self._gap is not None and self._gap < self._bytes(_UNDERRUN_MS)
        self.counts.underruns += is_underrun
        self._gap = None
        self._is_fading = False
        self._lead = lead
        return is_underrun

    def _keep(self, sound: bytes) -> None:
        """Remember as much of what was read as a soft end needs."""
        if soft := self._bytes(self._limits.soft_ms):
            self._latest = (self._latest + sound)[-soft:]

    def _soft_end(self, sound: bytes) -> bytes:
        """Return what follows sound that breaks off: its last moment, mirrored."""
        if not (soft := self._bytes(self._limits.soft_ms)):
            return b""
        latest = (self._latest + sound)[-soft:]
        return fade_out(reverse(latest, self._channels), self._channels)

    def _take_end(self, size: int) -> tuple[bytes, bytes]:
        """Part what is left of a soft end at this size."""
        return self._end[:size], self._end[size:]
