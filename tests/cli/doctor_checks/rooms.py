"""A simulated room: audio played on a fake sound card comes back late."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import numpy as np

from runner.audio.pcm import to_samples
from tests.audio.fakes import FakePortAudio, FakeStream

FRAMES = 480  # a block of 10 ms at 48 kHz


class Room:
    """Moves audio from the speaker to the microphone of a fake card, on a thread.

    Its clock counts the blocks that were exchanged, as fast as possible.
    """

    def __init__(
        self, library: FakePortAudio, *, delay_blocks: int = 5, gain: float = 0.5
    ) -> None:
        self.library = library
        self.delay_blocks = delay_blocks
        self.gain = gain
        self.noise = 0.001
        self.blocks = 0
        self._ended = threading.Event()

    def now(self) -> float:
        return self.blocks * 0.01

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Runs the devices while the context is open."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _run(self) -> None:
        line = [bytes(2 * FRAMES)] * self.delay_blocks
        rng = np.random.default_rng(3)
        while not self._ended.is_set():
            streams = [each for each in self.library.streams if each.is_running]
            if len(streams) < len(self.library.streams) or not streams:
                self._ended.wait(0.001)  # a device that is off delivers nothing
                continue
            noise = self.noise * rng.standard_normal(FRAMES)
            heard = self.gain * to_samples(line.pop(0)) + noise
            recorded = (np.clip(heard, -1, 1) * 32_767).astype("<i2").tobytes()
            line.append(self._exchange(streams, recorded))
            self.blocks += 1

    def _exchange(self, streams: list[FakeStream], recorded: bytes) -> bytes:
        samples = np.zeros(FRAMES, "<i2")
        for stream in streams:
            played = stream.exchange(recorded, FRAMES)
            if stream.kind == "output" and stream.settings["dtype"] == "float32":
                samples = (np.frombuffer(played, "<f4") * 32_767).astype("<i2")
            elif stream.kind != "input":
                samples = np.frombuffer(played, "<i2")
        # The left of two channels, or the only one.
        return samples[:: len(samples) // FRAMES].tobytes()
