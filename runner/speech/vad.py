"""Telling speech from other sound: Silero's network, or an energy gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from runner.speech.onnx import Network, open_network
from runner.speech.parts import SPEECH_RATE, VAD_FRAME, Samples, Vad

_CONTEXT = 64  # samples of the frame before that Silero wants to see again
_STATE = (2, 1, 128)  # layers of memory, sessions, cells


def load_silero(path: Path) -> Callable[[], Vad]:
    """Load the network once; what is returned makes a fresh Vad for each session."""
    network = open_network(path)
    return lambda: SileroVad(network)


class SileroVad:
    """Silero VAD 5/6 at 16 kHz: a recurrent network, so its state is carried along."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._rate = np.array(SPEECH_RATE, np.int64)
        self._context: Samples = np.zeros(_CONTEXT, np.float32)
        self._state = np.zeros(_STATE, np.float32)

    def probability(self, frame: Samples) -> float:
        check_frame(frame)
        window = np.concatenate([self._context, frame])
        output, self._state = self._network.run(
            input=window[None], state=self._state, sr=self._rate
        )
        self._context = window[-_CONTEXT:]
        return float(output[0, 0])

    def reset(self) -> None:
        self._context = np.zeros(_CONTEXT, np.float32)
        self._state = np.zeros(_STATE, np.float32)


class EnergyVad:
    """Loudness over a noise floor. Knows no voice from a slammed door: a stand-in that
    wants a longer silence (700 ms) than Silero before a turn is taken to be over."""

    # The floor follows a quieter frame at once and a louder one slowly: speech has
    # gaps between words, noise has none.
    RISE = 0.1  # dB a frame: about 3 dB a second
    MARGIN = 12.0  # dB over the floor at which speech is as likely as not
    SLOPE = 3.0  # dB by which the odds change e-fold
    QUIETEST = -55.0  # dBFS: below, nobody speaks into a microphone
    # Until noise was heard; a call that opens with speech is not taken for noise.
    FIRST_FLOOR = -50.0

    def __init__(self) -> None:
        self._floor = self.FIRST_FLOOR

    def probability(self, frame: Samples) -> float:
        check_frame(frame)
        power = float(np.mean(np.square(frame, dtype=np.float64)))
        level = 10.0 * float(np.log10(max(power, 1e-12)))
        self._floor = max(min(level, self._floor + self.RISE), -90.0)
        if level < self.QUIETEST:
            return 0.0
        excess = (level - self._floor - self.MARGIN) / self.SLOPE
        return float(1.0 / (1.0 + np.exp(-excess)))

    def reset(self) -> None:
        self._floor = self.FIRST_FLOOR


def check_frame(frame: Samples) -> None:
    """Refuse what is not one frame of 512 samples: a bug of the caller."""
    if frame.shape != (VAD_FRAME,):
        raise ValueError(f"a frame has {VAD_FRAME} samples, not {frame.shape}")
