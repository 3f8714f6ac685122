"""Playback buffer: written by the event loop, read by the thread of an audio device.

One lock, held for microseconds, is the only synchronization. Time is measured by the
audio that was read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import ByteQueue, fade_out, scale


class FadeBuffer:
    """A queue of interleaved PCM16 that fades out where it runs empty and in again.

    Not thread-safe: threads that share one need a lock.
    """

    # When the audio runs out it is not known whether more will follow: the last
    # milliseconds are faded as they are taken, and faded in again as soon as more has
    # come. So no audio is held back, and the signal has no step.

    def __init__(self, channels: int, fade_frames: int) -> None:
        """At a gap, fades over `fade_frames`; does not fade if it is 0."""
        self._channels = channels
        self._fade = fade_frames
        self._queue = ByteQueue()
        self._gain = 1.0  # of the last frame taken
        self.is_whole = False  # no audio will follow the buffered audio
        self.is_cut = False  # audio after the buffered audio was discarded

    def __len__(self) -> int:
        return len(self._queue)

    def append(self, pcm: bytes | memoryview, *, is_last: bool = False) -> None:
        """Appends at the end; the end is not faded if `is_last`."""
        self._queue.append(pcm)
        self.is_whole = is_last
        self.is_cut = False

    def begin(self, *, is_resumed: bool) -> None:
        """Starts a run after silence; the run fades in if `is_resumed`."""
        if len(self._queue):
            return  # the end of the last run is still being taken
        self._gain = 0.0 if is_resumed and self._fade else 1.0

    def take(self, size: int) -> bytes:
        """Removes and returns the first bytes, at most `size`, with fades applied."""
        piece = self._queue.take(size)
        left = self._frames(len(self._queue))
        is_near_end = left < self._fade and not self.is_whole
        if piece and self._fade and (self._gain < 1.0 or is_near_end):
            return self._shape(piece, left)
        return piece

    def cut(self, frames: int) -> int:
        """Discards all but the first `frames`, which fade out.

        A fade that is in progress continues. Returns the number of discarded frames.
        """
        if self.is_cut:
            return 0
        kept = self._queue.take(frames * 2 * self._channels)
        discarded = self._frames(len(self._queue))
        self._queue.clear()
        # This close to its end, audio that is not known to be the last fades already.
        is_fading = not self.is_whole and self._frames(len(kept)) <= self._fade
        if not is_fading:
            kept = fade_out(kept, self._channels)
        self.append(kept, is_last=not is_fading)
        self.is_cut = True
        return discarded

    def empty(self) -> bytes:
        """Removes and returns all bytes, as they were appended."""
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


# Jitter and clock drift. Times are seconds on any monotonic clock, levels milliseconds
# of audio.

# Bounds of the cushion before a reply: less would cause a gap at the first delay of the
# network or of the program, more would be a noticeable delay.
MIN_CUSHION_MS = 40.0
MAX_CUSHION_MS = 120.0
# Cushion beyond the largest lateness seen.
MARGIN_MS = 30.0
_FIRST_LATENESS_MS = 30.0
# Audio that comes later than this belongs to another reply.
PAUSE_MS = 300.0
# Time constant, in seconds of audio, with which the largest lateness decays.
_MEMORY_SECONDS = 30.0

# A level above this came faster than real time, and is intended.
_BACKLOG_MS = 300.0
# Errors of the level up to this are left alone. Larger ones are corrected by a fiftieth
# per second, at most by 0.05 % of the speed (less than a cent), which is inaudible.
_DEAD_BAND_MS = 5.0
_GAIN = 0.02
_MAX_SPEED_CHANGE = 0.0005
_WINDOW_SECONDS = 1.0


class JitterEstimator:
    """Estimates the largest lateness of audio relative to the first piece of its run.

    A run is audio that is played without a gap. A piece that comes in real time or
    faster is not late, however the pieces are bundled. The estimate decays.
    """

    def __init__(self) -> None:
        self._worst_ms = _FIRST_LATENESS_MS
        self._began: float | None = None  # None before the first run
        self._audio_seconds = 0.0  # seconds of audio in the run so far

    @property
    def cushion_ms(self) -> float:
        """Milliseconds of silence to insert before the next run."""
        return min(max(self._worst_ms + MARGIN_MS, MIN_CUSHION_MS), MAX_CUSHION_MS)

    @property
    def run_ms(self) -> float:
        """Milliseconds of audio in the run so far."""
        return self._audio_seconds * 1000

    def begin(self, at: float) -> None:
        """Starts a run with the next piece."""
        self._began, self._audio_seconds = at, 0.0

    def note(self, at: float, seconds: float) -> None:
        """Records the arrival of a piece of this length."""
        if self._began is None:
            return
        late_ms = (at - self._began - self._audio_seconds) * 1000
        faded = self._worst_ms * math.exp(-seconds / _MEMORY_SECONDS)
        # Lateness that no cushion can cover counts as the most that one can.
        worst_ms = (
            min(late_ms, MAX_CUSHION_MS - MARGIN_MS) if late_ms < PAUSE_MS else 0.0
        )
        self._worst_ms = max(faded, worst_ms)
        self._audio_seconds += seconds


class ClockDriftController:
    """Keeps the level of a buffer constant by small changes of the playback speed.

    The clock of a sound card differs from the service's by some parts per million:
    without this, a long reply would run dry or its delay would grow.
    """

    def __init__(self) -> None:
        self.faster = 0.0  # change of speed, as a fraction
        self._lowest_ms = math.inf
        self._since: float | None = None

    def begin(self) -> None:
        """Starts a run: discards the levels seen so far."""
        self._since, self._lowest_ms = None, math.inf

    def note(self, at: float, level_ms: float) -> None:
        """Records the level before a piece is added."""
        if self._since is None:
            self._since = at
        self._lowest_ms = min(self._lowest_ms, level_ms)
        if at - self._since < _WINDOW_SECONDS:
            return
        error_ms = self._lowest_ms - MARGIN_MS
        self._since, self._lowest_ms = at, math.inf
        is_meant = abs(error_ms) < _DEAD_BAND_MS or error_ms > _BACKLOG_MS
        wanted = 0.0 if is_meant else error_ms / 1000 * _GAIN
        self.faster = min(max(wanted, -_MAX_SPEED_CHANGE), _MAX_SPEED_CHANGE)


# Under 10 ms a cut clicks; over 20 ms the rest of the word is still heard.
FADE_MS = 15.0
# The service sends replies in 10 ms pieces in real time: without a cushion each late
# packet would be a gap. It precedes a reply and never interrupts one.
CUSHION_MS = 60.0
# A shorter silence between two pieces is an underrun.
_UNDERRUN_MS = PAUSE_MS


@dataclass(frozen=True, slots=True)
class PlaybackLimits:
    """Limits of a playback buffer, in milliseconds."""

    # No reply is this long; a longer one would lose its end, see `write`.
    cap_ms: float = 120_000.0
    cushion_ms: float = CUSHION_MS
    # `on_low` is called when less than this is left.
    low_ms: float = 30.0
    # Length of the fades before and after a gap; 0 returns exactly what was written.
    gap_fade_ms: float = 0.0


@dataclass(slots=True)
class PlaybackCounts:
    """Counters of a playback buffer; a frame is one sample of each channel."""

    played_frames: int = 0  # read by the device, without silence in between
    cleared_frames: int = 0  # discarded by `clear`
    dropped_frames: int = 0  # refused because the buffer was full
    underruns: int = 0  # gaps in a reply because its audio came late
    rate: int = SAMPLE_RATE  # frames per second

    def at_rate(self, rate: int) -> PlaybackCounts:
        """Returns the same durations in frames of another rate."""
        ratio = rate / self.rate
        return PlaybackCounts(
            round(self.played_frames * ratio),
            round(self.cleared_frames * ratio),
            round(self.dropped_frames * ratio),
            self.underruns,
            rate,
        )


class PlaybackBuffer:
    """A buffer of interleaved PCM16 between the event loop and a device.

    The event loop calls `write` and `clear`, the thread of the device calls `read`.
    `on_low` is called in the thread of the reader, without the lock, each time that
    the level falls below `low_ms` and each time that it becomes zero.
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
        self._audio = FadeBuffer(channels, self._frames(self._limits.gap_fade_ms))
        self._cushion_left = 0  # unread bytes of the cushion
        self._tail_left = 0  # unread bytes of an earlier run before the cushion
        # Bytes of silence read since the audio ran out; None if that was intended.
        self._gap: int | None = None

    @property
    def pending_ms(self) -> float:
        """Milliseconds of audio that are buffered and not yet read."""
        pending = self._cushion_left + len(self._audio)
        return pending * 1000 / (self.counts.rate * self._frame_bytes)

    @property
    def is_dry(self) -> bool:
        """True if the next write begins a run: no audio is buffered, or only a tail."""
        return self._audio.is_whole or not len(self._audio)

    def write(
        self, pcm: bytes, *, is_tail: bool = False, cushion_ms: float | None = None
    ) -> None:
        """Appends audio; inserts the cushion before it if a run begins.

        A tail (`is_tail`) ends in silence itself and needs no cushion, because no late
        audio follows it. Audio beyond the cap is refused and counted.
        """
        # The newest is refused, because dropping the oldest would make a jump in the
        # audio that is playing. Half a frame at the end is dropped, so that one odd
        # message cannot shift all that follow.
        whole = len(pcm) - len(pcm) % self._frame_bytes
        cap = self._bytes(self._limits.cap_ms)
        with self._lock:
            taken = max(0, min(whole, cap - len(self._audio)))
            self.counts.dropped_frames += (whole - taken) // self._frame_bytes
            if taken and (not self._audio or (self._audio.is_whole and not is_tail)):
                cushion = self._limits.cushion_ms if cushion_ms is None else cushion_ms
                self._begin(self._bytes(cushion), is_tail)
            self._audio.append(memoryview(pcm)[:taken], is_last=is_tail)

    def read(self, size: int) -> bytes:
        """Removes and returns `size` bytes for the device, padded with silence."""
        with self._lock:
            before = self._cushion_left + len(self._audio)
            end = self._audio.take(min(self._tail_left, size))
            self._tail_left -= len(end)
            lead = min(self._cushion_left, size - len(end))
            self._cushion_left -= lead
            audio = self._audio.take(size - len(end) - lead)
            missing = size - len(end) - lead - len(audio)
            after = self._cushion_left + len(self._audio)
            if self._gap is not None:
                self._gap += missing
            elif before and not after and not self._audio.is_cut:
                self._gap = missing
            self.counts.played_frames += (len(end) + len(audio)) // self._frame_bytes
        low = self._bytes(self._limits.low_ms)
        if self._on_low and (after < low <= before or (before and not after)):
            self._on_low()
        return b"".join((end, bytes(lead), audio, bytes(missing)))

    def clear(self, fade_ms: float = FADE_MS) -> float:
        """Discards the buffered audio after a short linear fade to silence.

        A run that has not begun is discarded without a fade. A second call lets the
        fade continue. Returns the length of the discarded audio in milliseconds.
        """
        with self._lock:
            fade = self._frames(fade_ms)
            if self._cushion_left:
                fade = min(fade, self._tail_left // self._frame_bytes)
            cleared = self._audio.cut(fade)
            self.counts.cleared_frames += cleared
            self._cushion_left = self._tail_left = 0
            self._gap = None
        return cleared * 1000 / self.counts.rate

    def empty(self) -> bytes:
        """Removes and returns the buffered audio, to be played elsewhere."""
        with self._lock:
            self._cushion_left = self._tail_left = 0
            self._gap = None
            return self._audio.empty()

    def _frames(self, milliseconds: float) -> int:
        return round(milliseconds * self.counts.rate / 1000)

    def _bytes(self, milliseconds: float) -> int:
        return self._frames(milliseconds) * self._frame_bytes

    def _begin(self, cushion: int, is_tail: bool) -> None:
        """Starts a run: inserts the cushion and counts an underrun before it."""
        # Audio that follows an unread tail came so late that the next piece would be
        # later still: the gap is made here, where it can fade.
        is_late = bool(self._audio) and not self._audio.is_cut
        is_resumed = self._gap is not None and self._gap < self._bytes(_UNDERRUN_MS)
        self._cushion_left = 0 if is_tail else cushion
        self._tail_left = len(self._audio)
        # Audio that came just in time for the next block follows a gap too: the
        # cushion. A tail is never late.
        self.counts.underruns += (
            (is_resumed or is_late)
            and not is_tail
            and bool(self._gap or self._cushion_left)
        )
        self._gap = None
        self._audio.begin(is_resumed=is_resumed)
