"""Echo cancellation and the half-duplex gate, for a microphone near a loudspeaker.

All of it runs on the event loop, except `played`: the PortAudio thread calls it, and it
copies nothing and takes no lock.
"""

from __future__ import annotations

import importlib
from collections import deque
from typing import Any, Protocol

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import Samples, mix_to_mono, to_samples
from runner.audio.resampler import SteadyResampler
from runner.errors import AudioUnavailable

# The agent's voice is audible above this; the fade of a cut passes it in 10 ms.
_AUDIBLE = 10 ** (-60 / 20)
# Reverberation of a room plus the latency of the devices: after 0.3 s, Silero detected
# speech in the remainder of a 250 ms echo in a live room, after 0.4 s it did not.
TAIL_SECONDS = 0.4
# Audio that was played while the microphone lost audio is fed to the canceller too,
# because its echo is still to come: at most this many pieces.
_MAX_LOST_PIECES = 40
# Limit of the 10 ms blocks that wait to be collected.
_MAX_PENDING_BLOCKS = 300


class AudioProcessor(Protocol):
    """Processes recorded audio with the played audio as reference.

    A sound card calls `attach` before it plays, and again after each change of device.
    """

    def attach(self, rate: int, channels: int, name: str = "") -> None:
        """Prepares for a speaker of this format and name; "" means no speaker."""
        ...

    def played(self, pcm: bytes, at: float) -> None:
        """Records a played block that is audible at `at`; in the PortAudio thread."""
        ...

    def process(self, samples: Samples, at: float) -> Samples:
        """Returns the processed samples of 24 kHz mono that was recorded from `at`."""
        ...


class EchoReference:
    """Collects the played audio and converts it to 24 kHz mono."""

    def __init__(self) -> None:
        self.playback = PlaybackReference()
        self._blocks: deque[tuple[bytes, float]] = deque(maxlen=_MAX_PENDING_BLOCKS)
        self._rate, self._channels = SAMPLE_RATE, 1
        self._given = 0  # frames of the loudspeaker so far
        self._resampler = SteadyResampler(SAMPLE_RATE, SAMPLE_RATE)

    def attach(self, rate: int, channels: int) -> None:
        """Starts again with another format."""
        self._blocks.clear()
        self._rate, self._channels = rate, channels
        self._given = 0
        self._resampler = SteadyResampler(rate, SAMPLE_RATE)
        self.playback = PlaybackReference()

    def played(self, pcm: bytes, at: float) -> None:
        """Queues a played block; in the PortAudio thread."""
        self._blocks.append((pcm, at))

    def collect(self) -> None:
        """Converts the blocks that were played since the last call."""
        while self._blocks:
            pcm, at = self._blocks.popleft()
            mono = mix_to_mono(to_samples(pcm), self._channels)
            self.playback.note(self._given * SAMPLE_RATE / self._rate, at)
            self.playback.append(self._resampler.process(mono))
            self._given += len(mono)


class _ReferenceProcessor:
    """Base of the processors that use the played audio as reference."""

    def __init__(self) -> None:
        self._reference = EchoReference()

    def attach(self, rate: int, channels: int, name: str = "") -> None:
        """Prepares for a speaker of this format."""
        del name
        self._reference.attach(rate, channels)

    def played(self, pcm: bytes, at: float) -> None:
        """Queues a played block; in the PortAudio thread."""
        self._reference.played(pcm, at)


class EchoCanceller(_ReferenceProcessor):
    """Removes the agent's voice, and noise if requested, from the microphone audio."""

    def __init__(self, *, echo: bool = True, noise: bool = False) -> None:
        """Raises AudioUnavailable if the package is missing."""
        super().__init__()
        self._canceller = WebRtcProcessor(echo=echo, noise=noise)
        self._rest = np.zeros(0, np.float32)
        self._next: float | None = None  # time of the piece after the last one

    def process(self, samples: Samples, at: float) -> Samples:
        """Returns the recorded samples without echo, in whole pieces of 10 ms."""
        self._reference.collect()
        at -= len(self._rest) / SAMPLE_RATE
        recorded = np.concatenate((self._rest, samples))
        whole = len(recorded) - len(recorded) % PIECE_SAMPLES
        self._rest = recorded[whole:]
        self._feed_lost(at)
        self._next = at + whole / SAMPLE_RATE
        cleaned = [
            self._canceller.process(
                recorded[start : start + PIECE_SAMPLES],
                self._reference.playback.read(PIECE_SAMPLES, at + start / SAMPLE_RATE),
            )
            for start in range(0, whole, PIECE_SAMPLES)
        ]
        return np.concatenate(cleaned) if cleaned else np.zeros(0, np.float32)

    def _feed_lost(self, at: float) -> None:
        """Feeds the canceller the audio played while the microphone lost audio."""
        lost = (
            0.0
            if self._next is None
            else (at - self._next) * SAMPLE_RATE / PIECE_SAMPLES
        )
        silence = np.zeros(PIECE_SAMPLES, np.float32)
        for back in range(min(int(lost), _MAX_LOST_PIECES), 0, -1):
            before = self._reference.playback.read(
                PIECE_SAMPLES, at - back * PIECE_SAMPLES / SAMPLE_RATE
            )
            self._canceller.process(silence, before)


class HalfDuplexGate(_ReferenceProcessor):
    """Mutes the microphone while the agent's voice is audible and shortly after.

    The result goes through the processor `then`, if there is one.
    """

    def __init__(self, then: AudioProcessor | None = None) -> None:
        super().__init__()
        self._then = then
        self._muted = 0  # samples still to be muted

    def process(self, samples: Samples, at: float) -> Samples:
        """Returns the recorded samples, or silence of the same length."""
        self._reference.collect()
        if not len(samples):
            return samples
        played = self._reference.playback.read(len(samples), at)
        if np.abs(played).max() > _AUDIBLE:
            self._muted = len(samples) + round(TAIL_SECONDS * SAMPLE_RATE)
        # Counted, not timed: a reopened device may have another clock.
        muted = min(self._muted, len(samples))
        self._muted -= muted
        rest = np.concatenate((np.zeros(muted, np.float32), samples[muted:]))
        return rest if self._then is None else self._then.process(rest, at)


# WebRTC's echo canceller and noise suppressor runs at 24 kHz: compared with 16 and
# 48 kHz it cancels as much (27 to 40 dB), costs the least and delays by 9 ms.

# Samples per piece: WebRTC processes 10 ms at a time.
PIECE_SAMPLES = SAMPLE_RATE // 100
_PACKAGE = "pywebrtc_audio"
INSTALL_COMMAND = "pip install pywebrtc-audio"  # the echo extra


class WebRtcProcessor:
    """Removes played audio from recorded audio, in pieces of `PIECE_SAMPLES` samples.

    It finds the echo itself, up to about 400 ms after its cause.
    """

    def __init__(self, *, echo: bool = True, noise: bool = False) -> None:
        """Raises AudioUnavailable if the package is missing."""
        self._processor = _load().AudioProcessor(
            sample_rate=SAMPLE_RATE,
            echo_cancellation=echo,
            noise_suppression=noise,
        )

    def process(self, recorded: Samples, played: Samples) -> Samples:
        """Returns the recorded piece without the played one, 9 ms later."""
        return np.asarray(self._processor.process(recorded, played), np.float32)


def require_canceller() -> None:
    """Raises AudioUnavailable if the package is missing."""
    _load()


def is_canceller_available() -> bool:
    """True if echo can be cancelled on this machine."""
    try:
        _load()
    except AudioUnavailable:
        return False
    return True


def _load() -> Any:
    try:
        return importlib.import_module(_PACKAGE)
    except (ImportError, OSError) as error:  # OSError: its library does not load
        raise AudioUnavailable(
            "echo cancellation and noise suppression need the package pywebrtc-audio, "
            "which is not installed",
            hint=f"{INSTALL_COMMAND} (the echo extra), or use --headphones or "
            "--echo half-duplex",
        ) from error


# Alignment of played with recorded audio by the times of the streams. A microphone and
# a loudspeaker may have separate clocks, which drift apart by some hundred parts per
# million, and the times that a sound card reports jitter by milliseconds. Times are
# seconds on the common clock of the streams, positions are samples since the start of a
# stream.

# A time that is off because of jitter comes back; one that stays off, abruptly, belongs
# to a stream that lost audio, stopped or restarted. In seconds, on average: the assumed
# initial jitter and the smallest one used. A step is larger than the fastest wander
# while the short mean follows it.
_INITIAL_JITTER = 0.004
_MIN_JITTER = 0.002
_MIN_STEP = 0.006
# Errors up to this multiple of the usual jitter are averaged with the others.
_OUTLIER = 4.0
# A step is detected when errors to one side, less one jitter each, add up to this many
# jitters; each error counts for `_STEP_EACH` at most, so it takes at least three.
_STEP = 8.0
_STEP_EACH = 3.0
# Number of times (about 10 ms each) that are averaged. PulseAudio's times wander by
# 10 ms within some seconds while the true latency is constant to 0.1 ms; a canceller
# tolerates a constant error but not a moving one, so only the mean of a minute is used.
# Steps are measured against the mean of half a second.
_LONG = 5000
_SHORT = 50
# Largest clock error of a sound card, as a fraction.
_MAX_DRIFT = 0.002

# The reference is read this much later than the time of the microphone: an error below
# it leaves the echo after its cause, where a canceller looks for it.
LEAD_SECONDS = 0.02
_KEPT_SECONDS = 2.0
# This much later than the last played audio, nothing is playing.
_AHEAD = round(0.2 * SAMPLE_RATE)
# A larger error of alignment is skipped, a smaller one corrected over a second.
_MAX_CORRECTED = round(0.003 * SAMPLE_RATE)
_MAX_STEERING = 0.002


class _StepDetector:
    """Detects steps of a stream among times that jitter or wander.

    Two-sided cumulative sum (Page's test) of the differences between the errors and
    their short mean, in units of the jitter.
    """

    def __init__(self) -> None:
        self._jitter = _INITIAL_JITTER
        self._mean = 0.0
        self._count = 0
        self._sums = [0.0, 0.0]  # of later and of earlier times
        self._run: list[float] = []  # errors since both sums were zero

    def feed(self, error: float) -> float | None:
        """Adds an error; returns the step, mostly 0, or None for an outlier."""
        off = error - self._mean if self._count else 0.0
        unit = max(self._jitter, _MIN_JITTER)
        for side, sign in enumerate((1, -1)):
            excess = min(sign * off / unit - 1, _STEP_EACH)
            self._sums[side] = max(0.0, self._sums[side] + excess)
        self._run = [*self._run[1 - round(_STEP) :], off] if any(self._sums) else []
        if max(self._sums) >= _STEP:
            step = float(np.median(self._run))
            self._sums, self._run = [0.0, 0.0], []
            if abs(step) > _MIN_STEP:
                return step
        # Bounded, so that a step does not count as jitter before it is detected.
        seen = min(abs(off), 2 * _OUTLIER * unit)
        self._jitter += (seen - self._jitter) / (2 * _SHORT)
        if abs(off) > _OUTLIER * unit:
            return None
        self._count = min(self._count + 1, _SHORT)
        self._mean += (error - self._mean) / self._count
        return 0.0

    def moved(self, by: float) -> None:
        """Accounts for a shift of the time that errors are measured against."""
        self._mean -= by


class StreamClock:
    """Smooths the reported times of the samples of a stream.

    An alpha-beta filter: a line of time over position, whose offset and slope follow
    the reported times. It follows steps of the stream at once.
    """

    def __init__(self, rate: float) -> None:
        self._nominal = 1 / rate
        self._period = self._nominal
        self._position = 0.0
        self._at = 0.0
        self._noted = 0
        self._steps = _StepDetector()

    @property
    def is_known(self) -> bool:
        """True if a time was noted."""
        return self._noted > 0

    @property
    def drift(self) -> float:
        """Deviation of the sample period from the nominal one, as a fraction."""
        return self._period / self._nominal - 1

    def note(self, position: float, at: float) -> None:
        """Adds the reported time of the sample at `position`."""
        if not self._noted:
            self._position, self._at = position, at
        samples, expected = position - self._position, self.time_of(position)
        error = at - expected
        step = self._steps.feed(error)
        if step is None:
            return
        self._noted += 1
        by = step
        if not step:
            share = 1 / (self._noted if self._noted <= _SHORT else _LONG)
            by = share * error
            if samples > 0 and self._noted > _SHORT:
                self._bend(share * share / 4 * error / samples)
            self._steps.moved(by)
        self._position, self._at = position, expected + by

    def time_of(self, position: float) -> float:
        """Returns the time of the sample at `position`."""
        return self._at + (position - self._position) * self._period

    def position_at(self, at: float) -> float:
        """Returns the position at this time."""
        return self._position + (at - self._at) / self._period

    def _bend(self, by: float) -> None:
        # The slope follows slowly, so that the filter does not oscillate
        # (share squared / 4).
        limit = self._nominal * _MAX_DRIFT
        bent = self._period + by - self._nominal
        self._period = self._nominal + min(max(bent, -limit), limit)


class PlaybackReference:
    """The recently played audio, 24 kHz mono, read by the times of the microphone.

    Successive reads are continuous, slightly faster or slower where the clocks differ,
    and skip only where a stream did.
    """

    def __init__(self) -> None:
        self._clock = StreamClock(SAMPLE_RATE)
        kept = round(_KEPT_SECONDS * SAMPLE_RATE)
        self._samples = np.zeros(2 * kept, np.float32)
        self._kept = kept
        self._size = 0  # samples in `_samples`
        self._first = 0  # position of the first sample in `_samples`
        self._next: float | None = None  # position that is read next

    @property
    def drift(self) -> float:
        """Deviation of the loudspeaker's sample period, as a fraction."""
        return self._clock.drift

    def note(self, position: float, at: float) -> None:
        """Adds the time of the sample at `position` since the start of the stream."""
        self._clock.note(position, at)

    def append(self, samples: Samples) -> None:
        """Appends the samples that are played next."""
        samples = samples[-self._kept :]
        if self._size + len(samples) > len(self._samples):
            removed = self._size - self._kept
            self._samples[: self._kept] = self._samples[removed : self._size]
            self._first += removed
            self._size = self._kept
        self._samples[self._size : self._size + len(samples)] = samples
        self._size += len(samples)

    def read(self, count: int, at: float) -> Samples:
        """Returns the audio played while `count` samples were recorded from `at`.

        Silence where nothing is known to have been played.
        """
        if not self._clock.is_known:
            return np.zeros(count, np.float32)
        wanted = self._clock.position_at(at + LEAD_SECONDS)
        newest = self._first + self._size - count - 2
        if 0 < wanted - newest < _AHEAD:
            # A time that is wrong by more than the lead: the newest audio is nearest.
            wanted = newest
        error = 0.0 if self._next is None else wanted - self._next
        start = self._next
        if start is None or abs(error) > _MAX_CORRECTED:
            start, error = wanted, 0.0
        steering = min(max(error / SAMPLE_RATE, -_MAX_STEERING), _MAX_STEERING)
        self._next = start + count * (1 + steering)
        # Linear interpolation: cancellation is as deep as with a filter of 16 taps,
        # measured at drifts up to 1000 parts per million.
        places = np.arange(count) * (1 + steering) + (start - self._first)
        whole = np.floor(places)
        after = (places - whole).astype(np.float32)
        before = int(whole[0])
        piece = self._slice(before, int(whole[-1]) + 2)
        index = whole.astype(np.intp) - before
        played: Samples = piece[index] * (1 - after) + piece[index + 1] * after
        return played

    def _slice(self, start: int, end: int) -> Samples:
        """Returns the kept samples from `start` to `end`, silence outside of them."""
        first, last = max(start, 0), min(end, self._size)
        piece = np.zeros(end - start, np.float32)
        if first < last:
            piece[first - start : last - start] = self._samples[first:last]
        return piece
