"""What is to be played next: filled by the loop, emptied by a device's own thread.

Pure but for one lock that is held for microseconds; time is counted in what was read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import ByteQueue, fade_out, scale

# Sound in order whose end and new beginning are smooth where it ran out.
#
# When the sound runs out nobody knows yet that it has: the last milliseconds are
# lowered as they are taken, and raised again as soon as more has come. So nothing is
# held back, and no two samples differ by more than the sound itself and a slow ramp
# make them.


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


# How unevenly sound arrives, and what to do about it. Pure.
#
# Times are seconds on any steady clock, levels milliseconds of sound.


# The bounds of what is laid ahead of a reply: less is a gap at the first hiccup of the
# network or of the program, more is a delay that is noticed.
LEAST_MS = 40.0
MOST_MS = 120.0
# What is kept beyond the worst that was seen.
MARGIN_MS = 30.0
_FIRST_LATENESS_MS = 30.0
# What comes later than this was not meant to follow: it is another reply.
PAUSE_MS = 300.0
# The worst is forgotten in so many seconds of sound, to about a third.
_MEMORY_SECONDS = 30.0

# A level that was more than this came faster than real time, and is meant to be there.
_BACKLOG_MS = 300.0
# So far off the level is left alone; beyond, it is closed at a fiftieth a second, and
# never so fast that anybody hears it: a twentieth of a percent is less than a cent.
_STILL_MS = 5.0
_GAIN = 0.02
_MOST_STEERING = 0.0005
_WINDOW_SECONDS = 1.0


class JitterEstimator:
    """The worst lateness of sound behind the first piece of its run, slowly forgotten.

    A run is what is played without a gap. A piece that comes as fast as it is spoken,
    or faster, is not late, however the pieces are bundled.
    """

    def __init__(self) -> None:
        self._worst_ms = _FIRST_LATENESS_MS
        self._began: float | None = None  # None before the first run
        self._sound = 0.0  # seconds of the run so far

    @property
    def cushion_ms(self) -> float:
        """How much is to be laid ahead of the next run."""
        return min(max(self._worst_ms + MARGIN_MS, LEAST_MS), MOST_MS)

    @property
    def run_ms(self) -> float:
        """How much sound the run has had so far."""
        return self._sound * 1000

    def begin(self, at: float) -> None:
        """A run begins with the next piece."""
        self._began, self._sound = at, 0.0

    def note(self, at: float, seconds: float) -> None:
        """Take in a piece of this length."""
        if self._began is None:
            return
        late_ms = (at - self._began - self._sound) * 1000
        faded = self._worst_ms * math.exp(-seconds / _MEMORY_SECONDS)
        # What no cushion bridges is not remembered as more than the largest one.
        worst_ms = min(late_ms, MOST_MS - MARGIN_MS) if late_ms < PAUSE_MS else 0.0
        self._worst_ms = max(faded, worst_ms)
        self._sound += seconds


class ClockDriftController:
    """Keeps the level of a buffer by playing a very little faster or slower.

    A sound card's clock is some parts in a million off the service's: without this, a
    long reply would run dry, or its delay grow.
    """

    def __init__(self) -> None:
        self.faster = 0.0  # as a share of one
        self._lowest_ms = math.inf
        self._since: float | None = None

    def begin(self) -> None:
        """A run begins: what was seen of the level is of the past."""
        self._since, self._lowest_ms = None, math.inf

    def note(self, at: float, level_ms: float) -> None:
        """Take in the level before a piece is added."""
        if self._since is None:
            self._since = at
        self._lowest_ms = min(self._lowest_ms, level_ms)
        if at - self._since < _WINDOW_SECONDS:
            return
        error_ms = self._lowest_ms - MARGIN_MS
        self._since, self._lowest_ms = at, math.inf
        is_meant = abs(error_ms) < _STILL_MS or error_ms > _BACKLOG_MS
        wanted = 0.0 if is_meant else error_ms / 1000 * _GAIN
        self.faster = min(max(wanted, -_MOST_STEERING), _MOST_STEERING)


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
