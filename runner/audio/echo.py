"""What stands between a microphone and the call when a loudspeaker is near it.

Everything here runs on the loop's side; PortAudio's thread calls `played` only, which
copies nothing and takes no lock.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import numpy as np

from runner.audio.alignment import PlaybackReference
from runner.audio.cancelling import PIECE, WebRtcProcessor
from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import Samples, mix_to_mono, to_samples
from runner.audio.resampler import SteadyResampler

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
