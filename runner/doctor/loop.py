"""Plays tones on the real devices and keeps what the microphone hears meanwhile.

PortAudio's thread copies bytes, notes the time, and leaves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from runner.audio.pcm import Samples, mix_to_mono, spread, to_pcm, to_samples
from runner.audio.portaudio import PortAudio, SoundDevice
from runner.audio.resampling import resample_pcm
from runner.audio.streams import Callbacks, cannot_open, close_streams, open_streams
from runner.doctor.tones import RATE, SECONDS, tones
from runner.errors import AudioUnavailable

# Seconds of silence before the tones, in which devices wake up and the noise of the
# room is heard; and after them, in which a slow path (Bluetooth) brings them back.
_LEAD, _TAIL = 0.6, 0.9
_SAMPLE_BYTES = 2
_PATIENCE = 4.0  # seconds that the devices may take longer than the sound


@dataclass(frozen=True, slots=True)
class Recording:
    """What was heard, mono at `RATE`, and how late it was.

    A sound that was handed to PortAudio `at` seconds of `samples` before it is found
    there, `at - played_at`, took that long: the round trip.
    """

    samples: Samples
    played_at: float  # seconds into `samples`, when the tones were handed over
    glitches: int  # blocks with which PortAudio reported lost or missing sound


def record_loop(
    library: PortAudio,
    devices: Sequence[SoundDevice],
    now: Callable[[], float] = time.monotonic,
) -> Recording:
    """Play the tones on the speaker and record the microphone, in that order.

    Raises:
        AudioUnavailable: the devices cannot be opened, or no sound moves.
    """
    tape = _Tape(now)
    callbacks = Callbacks(
        duplex=tape.exchange,
        input=tape.record,
        output=tape.play,
        finished=lambda: None,
    )
    streams, chosen = open_streams(library, devices, callbacks)
    try:
        tape.thread(*chosen)
        for stream in streams:
            stream.start()
        has_ended = tape.is_full.wait(_LEAD + SECONDS + _TAIL + _PATIENCE)
    except library.PortAudioError as error:
        raise cannot_open(chosen, error) from error
    finally:
        close_streams(streams)
    if not has_ended:
        moved = "some sound, then none" if tape.heard else "no sound at all"
        raise AudioUnavailable(
            f"the {chosen[0]} opened and gave {moved}",
            hint="choose another device: vagent devices",
        )
    return tape.recording()


class _Tape:
    """What was played and heard, block by block."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.is_full = threading.Event()
        self.heard = bytearray()
        self._now = now
        self._glitches = 0
        self._played = 0  # bytes
        self._sound = b""
        self._devices: tuple[SoundDevice, SoundDevice] | None = None
        # When the first sample was handed over, by each block: all agree but for the
        # moods of threads.
        self._starts: tuple[list[float], list[float]] = ([], [])

    def thread(self, microphone: SoundDevice, speaker: SoundDevice) -> None:
        """Lay the tones in, as the speaker wants them; before the streams start."""
        self._devices = microphone, speaker
        lead = np.zeros(round(_LEAD * speaker.rate), np.float32)
        sound = to_pcm(np.concatenate([lead, tones(speaker.rate)]))
        self._sound = spread(sound, speaker.channels)

    def exchange(
        self, recorded: Any, played: Any, frames: int, time: Any, status: Any
    ) -> None:
        self.play(played, frames, time, status)
        self.record(recorded, frames, time, None)

    def play(self, played: Any, frames: int, time: Any, status: Any) -> None:
        del time  # some host APIs leave it empty
        self._glitches += bool(status)
        size = len(played)
        piece = self._sound[self._played : self._played + size]
        played[:] = piece + bytes(size - len(piece))
        self._note(1, self._played)
        self._played += size

    def record(self, recorded: Any, frames: int, time: Any, status: Any) -> None:
        del time
        self._glitches += bool(status)
        if self.is_full.is_set():
            return
        self.heard += bytes(recorded)
        self._note(0, len(self.heard))
        assert self._devices is not None  # the streams start after `thread`
        if self._seconds(0, len(self.heard)) >= _LEAD + SECONDS + _TAIL:
            self.is_full.set()

    def recording(self) -> Recording:
        """Return what is on the tape; once it is full."""
        assert self._devices is not None
        microphone = self._devices[0]
        heard = mix_to_mono(to_samples(bytes(self.heard)), microphone.channels)
        samples = to_samples(resample_pcm(to_pcm(heard), microphone.rate, RATE))
        first_in, first_out = (median(starts) for starts in self._starts)
        return Recording(samples, first_out + _LEAD - first_in, self._glitches)

    def _note(self, side: int, size: int) -> None:
        self._starts[side].append(self._now() - self._seconds(side, size))

    def _seconds(self, side: int, size: int) -> float:
        assert self._devices is not None
        device = self._devices[side]
        return size / (_SAMPLE_BYTES * device.channels * device.rate)
