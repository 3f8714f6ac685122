"""One opening of the sound card: streams from their start to their end or their loss.

PortAudio's thread copies bytes to and from two buffers and leaves.
"""

from __future__ import annotations

import time as clocks
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from runner.audio.pcm import to_pcm, to_samples
from runner.audio.portaudio.library import Direction, PortAudio, SoundDevice, Stream
from runner.audio.portaudio.streams import (
    Callbacks,
    cannot_open,
    close_streams,
    open_streams,
)
from runner.audio.stillness import SilenceDetector

# Seconds. No device is so far from its stream's clock: such a time was not told. MME
# tells none of what it recorded, WDM-KS none at all (PortAudio's issues 135 and 531).
_FARTHEST = 5.0


class CaptureSink(Protocol):
    """Takes what a microphone records; in PortAudio's thread."""

    def capture(self, pcm: bytes, at: float) -> bool: ...


class PlaybackSource(Protocol):
    """Gives what a speaker plays; in PortAudio's thread."""

    def render(self, size: int, at: float) -> bytes: ...


class StreamSession:
    """The streams that were opened at one time; made, opened and closed by the card.

    Sound passes a side once it was let through: until then what is recorded is
    forgotten, and silence is played. `blocks` counts what came and went all the same.
    """

    def __init__(
        self, ear: CaptureSink, mouth: PlaybackSource, wake: Callable[[], None]
    ) -> None:
        """`wake` is called in PortAudio's thread when there is something to read."""
        self.devices: Mapping[Direction, SoundDevice] = {}
        self.blocks: dict[Direction, int] = {"input": 0, "output": 0}
        self.glitches = 0  # blocks with which PortAudio reported lost or missing sound
        self.has_ended = False  # a stream stopped, by itself or because it was closed
        self.quiet = SilenceDetector(1, 1)
        self._sides = ear, mouth, wake
        self._streams: dict[Direction, Stream] = {}
        self._let_through: frozenset[Direction] = frozenset()

    def again(self) -> StreamSession:
        """Return one that is not open yet, between the same ends, counting on."""
        fresh = StreamSession(*self._sides)
        fresh.glitches = self.glitches
        return fresh

    def open(self, library: PortAudio, wanted: Sequence[SoundDevice]) -> None:
        """Open and start the devices, besides those that are open; raises if refused.

        To be called where PortAudio is at home, like `close`.
        """
        callbacks = Callbacks(
            duplex=self._on_block,
            input=self._on_input,
            output=self._on_output,
            finished=self._on_finished,
        )
        streams, devices = open_streams(library, wanted, callbacks)
        opened = {device.direction: device for device in devices}
        self.devices = {**self.devices, **opened}
        if device := opened.get("input"):
            self.quiet = SilenceDetector(device.rate, device.channels)
        try:
            for stream in streams:
                stream.start()
        except library.PortAudioError as error:
            close_streams(streams)
            self._forget(opened)
            self.has_ended = False  # that was these, and nobody relied on them yet
            raise cannot_open(devices, error) from error
        for number, device in enumerate(devices):
            self._streams[device.direction] = streams[number % len(streams)]

    def close(self) -> None:
        """Close all; what the devices still hold is not played."""
        streams = list(dict.fromkeys(self._streams.values()))
        self._streams = {}
        self.shut()
        close_streams(streams)

    def latency(self, direction: Direction) -> float:
        """Return the device's own delay on this side, in seconds, as it says."""
        latency = self._streams[direction].latency
        if isinstance(latency, float):
            return latency
        return latency[0 if direction == "input" else 1]

    def let_through(self, direction: Direction) -> None:
        """Let sound pass this side from now on."""
        self._let_through |= {direction}

    def shut(self) -> None:
        """Let no sound pass any more."""
        self._let_through = frozenset()

    @property
    def is_through(self) -> frozenset[Direction]:
        """The sides that sound passes."""
        return self._let_through

    def _forget(self, sides: Mapping[Direction, SoundDevice]) -> None:
        kept = {side: it for side, it in self.devices.items() if side not in sides}
        self.devices = kept

    # PortAudio's thread runs what follows: copy bytes, leave.

    def _on_block(
        self, recorded: Any, played: Any, frames: int, time: Any, status: Any
    ) -> None:
        self._play(played, time)
        self._on_input(recorded, frames, time, status)

    def _on_input(self, recorded: Any, frames: int, time: Any, status: Any) -> None:
        self._count("input", status)
        if "input" not in self._let_through:
            return
        pcm = bytes(recorded)
        if self.devices["input"].is_float:
            pcm = to_pcm(np.frombuffer(pcm, np.float32))
        self.quiet.feed(pcm)
        ear, _, wake = self._sides
        seconds = frames / self.devices["input"].rate
        if ear.capture(pcm, _told(time.inputBufferAdcTime, time, -seconds)):
            wake()

    def _on_output(self, played: Any, frames: int, time: Any, status: Any) -> None:
        if status:
            self.glitches += 1
        self._play(played, time)

    def _play(self, played: Any, time: Any) -> None:
        self.blocks["output"] += 1
        if "output" not in self._let_through:
            played[:] = bytes(len(played))
            return
        at = _told(time.outputBufferDacTime, time, 0.0)
        if self.devices["output"].is_float:
            pcm = self._sides[1].render(len(played) // 2, at)
            played[:] = to_samples(pcm).tobytes()
        else:
            played[:] = self._sides[1].render(len(played), at)

    def _count(self, direction: Direction, status: Any) -> None:
        self.blocks[direction] += 1
        if status:
            self.glitches += 1

    def _on_finished(self) -> None:
        self.has_ended = True


def _told(at: float, time: Any, otherwise: float) -> float:
    """Return a block's time if it was told, else one that far from now.

    On Windows, where it may not be told, PortAudio's clock is `perf_counter`.
    """
    now: float = time.currentTime or clocks.perf_counter()
    return at if abs(at - now) < _FARTHEST else now + otherwise
