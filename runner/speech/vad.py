"""Voice activity and end of turn: Silero VAD, an energy gate, Smart Turn.

The networks are ONNX files. The log-mel features are those Whisper was trained on.
Sources: the slaney mel scale of Malcolm Slaney's Auditory Toolbox (1998), and the
scaling of OpenAI's Whisper (`audio.py`, `log_mel_spectrogram`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from runner.errors import SpeechError
from runner.speech.interfaces import SPEECH_RATE, VAD_FRAME, Samples, Vad

_CONTEXT = 64  # samples of the previous frame that Silero takes before each frame
_STATE = (2, 1, 128)  # layers, batch, cells


def load_silero(path: Path) -> Callable[[], Vad]:
    """Loads Silero VAD; the returned function creates a detector for one session."""
    network = open_network(path)
    return lambda: SileroVad(network)


class SileroVad:
    """Silero VAD 5/6 at 16 kHz, a recurrent network: keeps state between frames."""

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
    """Energy gate over an adaptive noise floor; the fallback for Silero.

    Any loud noise counts as speech. A turn should end only after a longer silence
    (700 ms) than with Silero.
    """

    # The floor follows a quieter frame at once and a louder one slowly: speech has
    # gaps between words, noise has none.
    RISE = 0.1  # dB per frame: about 3 dB per second
    MARGIN = 12.0  # dB over the floor at which the probability is 0.5
    SLOPE = 3.0  # dB by which the odds change by a factor of e
    MIN_LEVEL = -55.0  # dBFS: speech into a microphone is louder
    # Initial floor, low enough that speech at the start of a call is not taken as noise
    FIRST_FLOOR = -50.0

    def __init__(self) -> None:
        self._floor = self.FIRST_FLOOR

    def probability(self, frame: Samples) -> float:
        check_frame(frame)
        power = float(np.mean(np.square(frame, dtype=np.float64)))
        level = 10.0 * float(np.log10(max(power, 1e-12)))
        self._floor = max(min(level, self._floor + self.RISE), -90.0)
        if level < self.MIN_LEVEL:
            return 0.0
        excess = (level - self._floor - self.MARGIN) / self.SLOPE
        return float(1.0 / (1.0 + np.exp(-excess)))

    def reset(self) -> None:
        self._floor = self.FIRST_FLOOR


def check_frame(frame: Samples) -> None:
    """Raises ValueError unless `frame` has exactly 512 samples."""
    if frame.shape != (VAD_FRAME,):
        raise ValueError(f"a frame has {VAD_FRAME} samples, not {frame.shape}")


WINDOW = 8 * SPEECH_RATE  # samples: input length of Smart Turn


def load_smart_turn(path: Path) -> SmartTurn:
    """Loads Smart Turn; one object serves all sessions."""
    return SmartTurn(open_network(path))


class SmartTurn:
    """Smart Turn v3: judges a pause by intonation and filler words.

    Run it once per pause (about 25 ms on one core).
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def completeness(self, samples: Samples) -> float:
        kept = samples[-WINDOW:]
        # Padded at the start: the network expects the pause at the end.
        window = np.pad(kept, (WINDOW - len(kept), 0))
        features = log_mel(standardize(window))
        (likely,) = self._network.run(input_features=features[None])
        return float(likely[0, 0])


MEL_BANDS = 80
HOP = 160  # samples between two frames: 10 ms
_WINDOW = 400  # samples in a frame: 25 ms
_FLOOR = 1e-10  # power below which a band counts as silent
_DYNAMIC_RANGE = 8.0  # powers of ten below the loudest band


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """Returns log-mel features of shape (80, len // 160), about -1 to 1."""
    padded = np.pad(samples, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP]
    spectrum = np.fft.rfft(frames * _hann(), axis=1)[: len(samples) // HOP]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    level = np.log10(np.maximum(_mel_filters() @ power.T, _FLOOR))
    limited = np.maximum(level, level.max() - _DYNAMIC_RANGE)
    features: NDArray[np.float32] = ((limited + 4.0) / 4.0).astype(np.float32)
    return features


def standardize(samples: Samples) -> Samples:
    """Returns samples with zero mean and unit variance."""
    scaled: Samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    return scaled.astype(np.float32)


@cache
def _hann() -> Samples:
    """Returns the periodic Hann window."""
    return np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


@cache
def _mel_filters() -> NDArray[np.float32]:
    """Returns triangles of equal area, corners evenly spaced in mel, (80, 201)."""
    bins = np.fft.rfftfreq(_WINDOW, 1 / SPEECH_RATE)
    top = _hertz_to_mel(SPEECH_RATE / 2)
    corners = _mel_to_hertz(np.linspace(0.0, top, MEL_BANDS + 2))
    low, center, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - low) / (center - low), (high - bins) / (high - center)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2.0 / (high - low)).astype(np.float32)


# The scale is linear up to 1 kHz (15 mel), logarithmic above: 27 mel for a factor 6.4.
_KNEE_HERTZ, _KNEE_MEL = 1000.0, 15.0
_LOG_STEP = float(np.log(6.4)) / 27.0


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _KNEE_HERTZ:
        return hertz * _KNEE_MEL / _KNEE_HERTZ
    return _KNEE_MEL + float(np.log(hertz / _KNEE_HERTZ)) / _LOG_STEP


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * _KNEE_HERTZ / _KNEE_MEL
    return np.where(
        mel < _KNEE_MEL,
        linear,
        _KNEE_HERTZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL)),
    )


class Network:
    """A loaded ONNX network. Thread-safe."""

    def __init__(self, session: Any) -> None:
        self.session = session  # onnxruntime.InferenceSession; Piper takes it directly

    def run(self, **inputs: Any) -> list[NDArray[Any]]:
        """Returns the outputs in the order of the file."""
        return cast("list[NDArray[Any]]", self.session.run(None, inputs))


def open_network(path: Path, *, threads: int = 1) -> Network:
    """Loads an ONNX file for the CPU; raises SpeechError if that fails."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings are for model authors
    # Waiting threads sleep: the language model needs the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors have no common base class
        raise SpeechError(
            f"cannot load the ONNX file '{path}': {error}",
            hint="check the file with `vagent models list`",
        ) from error
    return Network(session)
