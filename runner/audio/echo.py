"""What stands between a microphone and the call when a loudspeaker is near it.

Everything here runs on the loop's side; PortAudio's thread calls `played` only, which
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
# How long a room goes on sounding, with what the devices delay: with 0.3 s, Silero took
# what was left of an echo of 250 ms in a live room for speech, with 0.4 s none.
TAIL_SECONDS = 0.4
# What was played while the microphone lost sound is fed to the canceller all the same,
# for its echo is yet to come: so much of it, in pieces.
_MOST_MADE_UP = 40
# Blocks of 10 ms that wait when nobody listens: more are of no use to anybody.
_MOST_BLOCKS = 300


class AudioProcessor(Protocol):
    """Hears what is played and what is recorded, and lets through what is the caller's.

    A card tells it what it is attached to before it is played on, and again whenever
    that has changed.
    """

    def attach(self, rate: int, channels: int, name: str = "") -> None:
        """Make ready for a speaker of this format and name, "" for none at all."""
        ...

    def played(self, pcm: bytes, at: float) -> None:
        """Take note of a block; in PortAudio's thread. `at` is when it is audible."""
        ...

    def hear(self, samples: Samples, at: float) -> Samples:
        """Take 24 kHz mono, recorded from this time on; return what goes on."""
        ...


class EchoReference:
    """Collects what is played, from the loudspeaker's format to 24 kHz mono."""

    def __init__(self) -> None:
        self.sound = PlaybackReference()
        self._blocks: deque[tuple[bytes, float]] = deque(maxlen=_MOST_BLOCKS)
        self._rate, self._channels = SAMPLE_RATE, 1
        self._given = 0  # frames of the loudspeaker's so far
        self._resampler = SteadyResampler(SAMPLE_RATE, SAMPLE_RATE)

    def attach(self, rate: int, channels: int) -> None:
        """Begin anew in another format."""
        self._blocks.clear()
        self._rate, self._channels = rate, channels
        self._given = 0
        self._resampler = SteadyResampler(rate, SAMPLE_RATE)
        self.sound = PlaybackReference()

    def played(self, pcm: bytes, at: float) -> None:
        """Take note of a block; in PortAudio's thread."""
        self._blocks.append((pcm, at))

    def collect(self) -> None:
        """Take in what was played since the last time."""
        while self._blocks:
            pcm, at = self._blocks.popleft()
            mono = mix_to_mono(to_samples(pcm), self._channels)
            self.sound.note(self._given * SAMPLE_RATE / self._rate, at)
            self.sound.append(self._resampler.process(mono))
            self._given += len(mono)


class _WithReference:
    """Collects what the loudspeaker plays."""

    def __init__(self) -> None:
        self._reference = EchoReference()

    def attach(self, rate: int, channels: int, name: str = "") -> None:
        """Make ready for a speaker with this format."""
        del name
        self._reference.attach(rate, channels)

    def played(self, pcm: bytes, at: float) -> None:
        """Take note of a block; in PortAudio's thread."""
        self._reference.played(pcm, at)


class EchoCanceller(_WithReference):
    """Takes the agent's voice out of the microphone, and noise if that is wished."""

    def __init__(self, *, echo: bool = True, noise: bool = False) -> None:
        """Raise AudioUnavailable when the package is missing."""
        super().__init__()
        self._canceller = WebRtcProcessor(echo=echo, noise=noise)
        self._rest = np.zeros(0, np.float32)
        self._next: float | None = None  # when the piece after the last one is heard

    def hear(self, samples: Samples, at: float) -> Samples:
        """Return what was heard but for what was played, in whole pieces of 10 ms."""
        self._reference.collect()
        at -= len(self._rest) / SAMPLE_RATE
        heard = np.concatenate((self._rest, samples))
        whole = len(heard) - len(heard) % PIECE
        self._rest = heard[whole:]
        self._make_up(at)
        self._next = at + whole / SAMPLE_RATE
        cleaned = [
            self._canceller.process(
                heard[start : start + PIECE],
                self._reference.sound.read(PIECE, at + start / SAMPLE_RATE),
            )
            for start in range(0, whole, PIECE)
        ]
        return np.concatenate(cleaned) if cleaned else np.zeros(0, np.float32)

    def _make_up(self, at: float) -> None:
        """Tell the canceller what was played up to this time while sound got lost."""
        lost = 0.0 if self._next is None else (at - self._next) * SAMPLE_RATE / PIECE
        silence = np.zeros(PIECE, np.float32)
        for back in range(min(int(lost), _MOST_MADE_UP), 0, -1):
            before = self._reference.sound.read(PIECE, at - back * PIECE / SAMPLE_RATE)
            self._canceller.process(silence, before)


class HalfDuplexGate(_WithReference):
    """Lets nothing through while the agent's voice is audible, nor shortly after.

    What goes through goes on to `then`, if there is one.
    """

    def __init__(self, then: AudioProcessor | None = None) -> None:
        super().__init__()
        self._then = then
        self._muted = 0  # samples that are yet to be silenced

    def hear(self, samples: Samples, at: float) -> Samples:
        """Return what was heard, or silence as long."""
        self._reference.collect()
        if not len(samples):
            return samples
        played = self._reference.sound.read(len(samples), at)
        if np.abs(played).max() > _AUDIBLE:
            self._muted = len(samples) + round(TAIL_SECONDS * SAMPLE_RATE)
        # Counted, not timed: a device that is taken up may bring another clock.
        muted = min(self._muted, len(samples))
        self._muted -= muted
        rest = np.concatenate((np.zeros(muted, np.float32), samples[muted:]))
        return rest if self._then is None else self._then.hear(rest, at)


# WebRTC's echo canceller and noise suppressor; the one place that knows the package.
#
# At 24 kHz, ours: measured beside 16 and 48 kHz it cancels as deep (27 to 40 dB), costs
# the least and delays by 9 ms.


# What is processed at once: 10 ms, as WebRTC has it.
PIECE = SAMPLE_RATE // 100
_PACKAGE = "pywebrtc_audio"
INSTALL = "pip install pywebrtc-audio"  # the echo extra


class WebRtcProcessor:
    """Takes what was played out of what was heard, piece by piece of `PIECE` samples.

    It finds the echo by itself up to some 400 ms after its cause.
    """

    def __init__(self, *, echo: bool = True, noise: bool = False) -> None:
        """Raise AudioUnavailable when the package is missing."""
        self._processor = _load().AudioProcessor(
            sample_rate=SAMPLE_RATE,
            echo_cancellation=echo,
            noise_suppression=noise,
        )

    def process(self, heard: Samples, played: Samples) -> Samples:
        """Return what was heard without what was played, 9 ms later."""
        return np.asarray(self._processor.process(heard, played), np.float32)


def require() -> None:
    """Raise AudioUnavailable when the package is missing."""
    _load()


def is_available() -> bool:
    """Whether echo can be cancelled on this machine."""
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
            "echo and noise are taken out by the package pywebrtc-audio, "
            "which is not installed",
            hint=f"{INSTALL} (the echo extra), or --headphones, or --echo half-duplex",
        ) from error


# Which of the played sound belongs to which of the recorded: by the streams' times.
#
# A microphone and a loudspeaker may have clocks of their own, which drift apart by some
# hundred parts in a million; and what a sound card says of its times jitters by
# milliseconds. Pure; times are seconds on the streams' common clock, positions are
# samples since a stream began.


# A time that is far off by jitter comes back; one that stays off, abruptly, is of a
# stream that lost sound, stood still or began anew. In seconds, on the average: the
# jitter that is assumed at first, and the least that is ever reckoned with. A step is
# larger than what the fastest wander comes to while the short mean follows it.
_FIRST_JITTER = 0.004
_LEAST_JITTER = 0.002
_LEAST_STEP = 0.006
# How many times the usual jitter a time may be off and still be averaged with others.
_OUTLIER = 4.0
# A step is believed when errors to one side, less one jitter each, come to so many
# jitters, of which one error gives so many at the most: three times at least.
_STEP = 8.0
_STEP_EACH = 3.0
# How fast times are followed, by the number of times (some 10 ms each) that they are
# averaged over. PulseAudio's wander by 10 ms within some seconds while the true
# latency stands still to a tenth of one; a canceller bears a time that is wrong, but
# not one that moves, so that only the mean of a minute is trusted. What is abrupt
# is measured against the mean of half a second.
_LONG = 5000
_SHORT = 50
# No sound card's clock is farther off than this, as a share of one.
_MOST_DRIFT = 0.002

# What is handed out was played so much later than the microphone's time: a time that
# is wrong by less leaves the echo after its cause, where a canceller looks for it.
LEAD_SECONDS = 0.02
_KEPT_SECONDS = 2.0
# So much later than what was played last, nothing is being played.
_AHEAD = round(0.2 * SAMPLE_RATE)
# An error of alignment beyond this is leapt over, a smaller one closed over a second.
_LEAP = round(0.003 * SAMPLE_RATE)
_MOST_STEERING = 0.002


class _Steps:
    """Tells times that jitter or wander from a stream that stepped.

    A cumulative sum to either side (Page's test) of what errors differ from their
    short mean by, in units of the jitter.
    """

    def __init__(self) -> None:
        self._jitter = _FIRST_JITTER
        self._mean = 0.0
        self._count = 0
        self._sums = [0.0, 0.0]  # to the later and to the earlier side
        self._run: list[float] = []  # since both were zero

    def feed(self, error: float) -> float | None:
        """Take in an error; return by how much the stream stepped, mostly 0.

        None: it is an outlier, to be averaged with no others.
        """
        off = error - self._mean if self._count else 0.0
        unit = max(self._jitter, _LEAST_JITTER)
        for side, sign in enumerate((1, -1)):
            excess = min(sign * off / unit - 1, _STEP_EACH)
            self._sums[side] = max(0.0, self._sums[side] + excess)
        self._run = [*self._run[1 - round(_STEP) :], off] if any(self._sums) else []
        if max(self._sums) >= _STEP:
            step = float(np.median(self._run))
            self._sums, self._run = [0.0, 0.0], []
            if abs(step) > _LEAST_STEP:
                return step
        # Bounded, so that a step does not pass for jitter before it is believed.
        seen = min(abs(off), 2 * _OUTLIER * unit)
        self._jitter += (seen - self._jitter) / (2 * _SHORT)
        if abs(off) > _OUTLIER * unit:
            return None
        self._count = min(self._count + 1, _SHORT)
        self._mean += (error - self._mean) / self._count
        return 0.0

    def moved(self, by: float) -> None:
        """Take in that what errors are measured against became so much later."""
        self._mean -= by


class StreamClock:
    """The times of a stream's samples, smoothed out of what was said of them.

    An alpha-beta filter: a line of time over position, whose offset and slope follow
    what is noted. Where the stream steps, it steps with it.
    """

    def __init__(self, rate: float) -> None:
        self._nominal = 1 / rate
        self._period = self._nominal
        self._position = 0.0
        self._at = 0.0
        self._noted = 0
        self._steps = _Steps()

    @property
    def is_known(self) -> bool:
        """Whether any time was noted."""
        return self._noted > 0

    @property
    def drift(self) -> float:
        """How much longer a sample lasts than it should, as a share of one."""
        return self._period / self._nominal - 1

    def note(self, position: float, at: float) -> None:
        """Take in that the sample at `position` is of this time."""
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
        """Return when the sample at `position` is heard."""
        return self._at + (position - self._position) * self._period

    def position_at(self, at: float) -> float:
        """Return what is heard at this time."""
        return self._position + (at - self._at) / self._period

    def _bend(self, by: float) -> None:
        # The slope follows so slowly that the two do not swing (share squared / 4).
        most = self._nominal * _MOST_DRIFT
        bent = self._period + by - self._nominal
        self._period = self._nominal + min(max(bent, -most), most)


class PlaybackReference:
    """What the loudspeaker played lately, to be read by the microphone's times.

    24 kHz mono. Reading goes on without a seam, a little faster or slower where the
    clocks differ, and leaps only where a stream did.
    """

    def __init__(self) -> None:
        self._clock = StreamClock(SAMPLE_RATE)
        kept = round(_KEPT_SECONDS * SAMPLE_RATE)
        self._sound = np.zeros(2 * kept, np.float32)
        self._kept = kept
        self._size = 0  # samples in `_sound`
        self._first = 0  # position of its first sample
        self._next: float | None = None  # position that is read next

    @property
    def drift(self) -> float:
        """How much slower the loudspeaker's clock is than the streams', as a share."""
        return self._clock.drift

    def note(self, position: float, at: float) -> None:
        """Take in that the sample at `position`, since the stream began, is of `at`."""
        self._clock.note(position, at)

    def append(self, samples: Samples) -> None:
        """Add what is played next."""
        samples = samples[-self._kept :]
        if self._size + len(samples) > len(self._sound):
            gone = self._size - self._kept
            self._sound[: self._kept] = self._sound[gone : self._size]
            self._first += gone
            self._size = self._kept
        self._sound[self._size : self._size + len(samples)] = samples
        self._size += len(samples)

    def read(self, count: int, at: float) -> Samples:
        """Return what was played while the microphone heard `count` samples from `at`.

        Silence where nothing is known to have been played.
        """
        if not self._clock.is_known:
            return np.zeros(count, np.float32)
        wanted = self._clock.position_at(at + LEAD_SECONDS)
        newest = self._first + self._size - count - 2
        if 0 < wanted - newest < _AHEAD:
            # A time that is wrong by more than the lead: the newest is nearest to it.
            wanted = newest
        error = 0.0 if self._next is None else wanted - self._next
        start = self._next
        if start is None or abs(error) > _LEAP:
            start, error = wanted, 0.0
        steering = min(max(error / SAMPLE_RATE, -_MOST_STEERING), _MOST_STEERING)
        self._next = start + count * (1 + steering)
        # A straight line between two samples: cancelling is as deep with it as with a
        # filter of sixteen, measured at drifts up to 1000 parts in a million.
        places = np.arange(count) * (1 + steering) + (start - self._first)
        whole = np.floor(places)
        after = (places - whole).astype(np.float32)
        before = int(whole[0])
        piece = self._slice(before, int(whole[-1]) + 2)
        index = whole.astype(np.intp) - before
        played: Samples = piece[index] * (1 - after) + piece[index + 1] * after
        return played

    def _slice(self, start: int, end: int) -> Samples:
        """Return what is kept from `start` to `end`, silence where nothing is."""
        first, last = max(start, 0), min(end, self._size)
        piece = np.zeros(end - start, np.float32)
        if first < last:
            piece[first - start : last - start] = self._sound[first:last]
        return piece
