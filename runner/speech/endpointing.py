"""Telling a pause for breath from the end of a turn, by how the words were spoken."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runner.speech.features import log_mel, standardize
from runner.speech.onnx import Network, open_network
from runner.speech.parts import SPEECH_RATE, Samples

WINDOW = 8 * SPEECH_RATE  # samples: the network looks at the last 8 s


def load_smart_turn(path: Path) -> SmartTurn:
    """Load smart-turn; one object serves all sessions."""
    return SmartTurn(open_network(path))


class SmartTurn:
    """smart-turn v3: hears intonation and filler words, not their meaning. Asked once
    per pause (about 25 ms on one core)."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def completeness(self, samples: Samples) -> float:
        heard = samples[-WINDOW:]
        # Silence goes in front: the network expects the pause at the very end.
        window = np.pad(heard, (WINDOW - len(heard), 0))
        features = log_mel(standardize(window))
        (likely,) = self._network.run(input_features=features[None])
        return float(likely[0, 0])
