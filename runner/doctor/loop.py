"""Plays tones on the real devices and keeps what the microphone hears meanwhile.

PortAudio's thread copies bytes, notes the time, and leaves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

import numpy as np

from runner.audio.devices import SAMPLE_BYTES
from runner.audio.opening import Opening
from runner.audio.pcm import (
    Samples,
    mix_to_mono,
    spread,
    to_pcm,
    to_samples,
)
from runner.audio.portaudio import PortAudio, SoundDevice
from runner.audio.resampling import resample_pcm
from runner.doctor.tones import RATE, SECONDS, tones
from runner.errors import AudioUnavailable

# Seconds of silence before the tones, in which devices wake up and the noise of the
# room is heard; and after them, in which a slow path (Bluetooth) brings them back.
_LEAD, _TAIL = 0.6, 0.9
_PATIENCE = 8.0  # seconds: how long the devices may take for all of it


@dataclass(frozen=True, slots=True)
class Recording:
    """What was heard, mono at `RATE`; times are seconds from its beginning.

    Tones that are found `at` have made their round trip in `at - handed_at`.
    """

    samples: Samples
    handed_at: float  # when PortAudio was given the tones, by the clock of this machine
    audible_at: float  # when the speaker played them, by the stream's own times
    glitches: int  # blocks with which PortAudio reported lost or missing sound


def record_loop(
    library: PortAudio,
    devices: Sequence[SoundDevice],
    now: Callable[[], float] = time.monotonic,
    *,
    patience: float = _PATIENCE,
) -> Recording:
    """Play the tones on the second device and record the first, the microphone.

    The devices have `patience` seconds for the three and a half that it takes.

    Raises:
        AudioUnavailable: the devices cannot be opened, or no sound moves.
    """
    tape = _Tape(now)
    opening = Opening(tape, tape, tape.is_full.set)
    opening.open(library, devices)
    try:
        tape.thread(opening.devices["input"], opening.devices["output"])
        for side in opening.devices:
            opening.let_through(side)
        if not tape.is_full.wait(patience):
            moved = "some sound, then none" if tape.heard else "no sound at all"
            raise AudioUnavailable(
                f"the {devices[0]} opened and gave {moved}",
                hint="choose another device: vagent devices",
            )
    finally:
        opening.close()
    return tape.recording(opening.glitches)


_Times: TypeAlias = list[tuple[float, float]]


class _Tape:
    """Both ends of an opening: what was played and heard, block by block."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.is_full = threading.Event()
        self.heard = bytearray()
        self._now = now
        self._played = 0  # bytes
        self._sound = b""
        self._devices: tuple[SoundDevice, SoundDevice] | None = None
        # When the first sample changed hands, and when it sounded, by each block of
        # either side: all agree but for the moods of threads. A block changes hands as
        # a whole, when it is called for.
        self._starts: tuple[_Times, _Times] = ([], [])

    def thread(self, microphone: SoundDevice, speaker: SoundDevice) -> None:
        """Lay the tones in, as the speaker wants them; before sound is let through."""
        self._devices = microphone, speaker
        lead = np.zeros(round(_LEAD * speaker.rate), np.float32)
        sound = to_pcm(np.concatenate([lead, tones(speaker.rate)]))
        self._sound = spread(sound, speaker.channels)

    def render(self, size: int, at: float) -> bytes:
        """Give the next bytes, and silence after the last."""
        piece = self._sound[self._played : self._played + size]
        before = self._seconds(1, self._played)
        self._starts[1].append((self._now() - before, at - before))
        self._played += size
        return piece + bytes(size - len(piece))

    def capture(self, pcm: bytes, at: float) -> bool:
        """Take a block; true once there are enough of them."""
        if not self.is_full.is_set():
            before = self._seconds(0, len(self.heard))
            self.heard += pcm
            self._starts[0].append((self._now() - before, at - before))
        return self._seconds(0, len(self.heard)) >= _LEAD + SECONDS + _TAIL

    def recording(self, glitches: int) -> Recording:
        """Return what is on the tape; once it is full."""
        assert self._devices is not None
        microphone = self._devices[0]
        heard = mix_to_mono(to_samples(bytes(self.heard)), microphone.channels)
        samples = to_samples(resample_pcm(to_pcm(heard), microphone.rate, RATE))
        (taken, recorded), (handed, audible) = (_middle(each) for each in self._starts)
        return Recording(
            samples, handed + _LEAD - taken, audible + _LEAD - recorded, glitches
        )

    def _seconds(self, side: int, size: int) -> float:
        assert self._devices is not None
        device = self._devices[side]
        return size / (SAMPLE_BYTES * device.channels * device.rate)


def _middle(times: _Times) -> tuple[float, float]:
    return median(each for each, _ in times), median(each for _, each in times)
