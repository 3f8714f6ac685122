"""How loud both voices of a recording are, moment by moment, from its sound files."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import VOICE_DBFS
from runner.errors import AudioFileError

STEP = 0.02  # seconds: what one value stands for
_STEP_SAMPLES = round(SAMPLE_RATE * STEP)
_BLOCK_SAMPLES = _STEP_SAMPLES * 500  # read at once: an hour needs little memory
_FULL_SCALE = 32_768.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """One side of a call: its peak (0 to 1) and its level, `STEP` by `STEP`."""

    peaks: NDArray[np.float32]
    is_loud: NDArray[np.bool_]  # loud enough for a voice

    @property
    def seconds(self) -> float:
        """How long the sound lasts."""
        return len(self.peaks) * STEP

    def first_loud(self, start: float, end: float) -> float | None:
        """Return when the voice is first heard between two times, in seconds."""
        found = np.flatnonzero(self.is_loud[_step(start) : _step(end) + 1])
        return float(_step(start) + found[0]) * STEP if found.size else None

    def last_loud(self, start: float, end: float) -> float | None:
        """Return until when the voice is last heard between two times."""
        found = np.flatnonzero(self.is_loud[_step(start) : _step(end) + 1])
        return float(_step(start) + found[-1] + 1) * STEP if found.size else None

    def quiet_from(self, at: float) -> float:
        """Return when the voice, at this time or later, is not heard any more."""
        quiet = np.flatnonzero(~self.is_loud[_step(at) :])
        steps = quiet[0] if quiet.size else len(self.is_loud[_step(at) :])
        return max(at, float(_step(at) + steps) * STEP)

    def envelope(self, columns: int, seconds: float) -> NDArray[np.float32]:
        """Return the peak of each of so many equal parts of these seconds."""
        edges = np.linspace(0, seconds / STEP, columns + 1)
        starts = np.minimum(edges[:-1].astype(int), max(0, len(self.peaks) - 1))
        stops = np.maximum(np.ceil(edges[1:]).astype(int), starts + 1)
        result = np.zeros(columns, np.float32)
        for index, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            if edges[index] < len(self.peaks):
                result[index] = self.peaks[start:stop].max(initial=0.0)
        return result


@dataclass(frozen=True, slots=True)
class Voices:
    """Both sides of a call; they begin together."""

    caller: Envelope
    agent: Envelope


def read_voices(folder: Path) -> Voices | None:
    """Read the levels of a recording's sound; None where it was made without.

    Raises:
        AudioFileError: a file is there and cannot be read.
    """
    paths = (folder / "caller.wav", folder / "agent.wav")
    if not all(path.exists() for path in paths):
        return None
    caller, agent = (_read(path) for path in paths)
    return Voices(caller, agent)


def _read(path: Path) -> Envelope:
    peaks: list[NDArray[np.float32]] = []
    loud: list[NDArray[np.bool_]] = []
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            if shape != (SAMPLE_RATE, 2, 1):
                raise AudioFileError(f"'{path}' is not sound as recordings have it")
            while pcm := file.readframes(_BLOCK_SAMPLES):
                peak, is_loud = _measure(pcm)
                peaks.append(peak)
                loud.append(is_loud)
    except (OSError, EOFError, wave.Error) as error:
        raise AudioFileError(f"'{path}' cannot be read: {error}") from error
    return Envelope(
        np.concatenate(peaks) if peaks else np.zeros(0, np.float32),
        np.concatenate(loud) if loud else np.zeros(0, np.bool_),
    )


def _measure(pcm: bytes) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return peak and loudness of each step; the last one may be a part."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32)
    padded = np.zeros(-(-len(samples) // _STEP_SAMPLES) * _STEP_SAMPLES, np.float32)
    padded[: len(samples)] = samples / _FULL_SCALE
    steps = padded.reshape(-1, _STEP_SAMPLES)
    power = np.mean(np.square(steps), axis=1)
    peaks: NDArray[np.float32] = np.abs(steps).max(axis=1).astype(np.float32)
    is_loud: NDArray[np.bool_] = power > 10 ** (VOICE_DBFS / 10)
    return peaks, is_loud


def _step(at: float) -> int:
    return max(0, int(at / STEP + 1e-6))
