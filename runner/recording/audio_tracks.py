"""Audio of a recording: gapless tracks, WAV files, and level envelopes.

A track takes audio with times in seconds since the start of the call and returns 24 kHz
mono PCM16 that starts with the call.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.audio.devices import FRAME_MS, MICROPHONE_BACKLOG_MS, SAMPLE_RATE
from runner.audio.files import WavWriter
from runner.audio.pcm import VOICE_DBFS, interleave
from runner.audio.playback import PlaybackBuffer
from runner.errors import AudioFileError
from runner.protocol.client.actions import Action, Close, Play, Send, StopPlayback
from runner.protocol.client.events import Event, MicFrame, Received
from runner.safe_files import open_regular

_FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000
# A blocked event loop receives the microphone's frames late and in a burst, and then no
# audio is missing. Audio that is later than the microphone's backlog is missing.
_MAX_LATE_SAMPLES = SAMPLE_RATE * MICROPHONE_BACKLOG_MS // 1000 + _FRAME_SAMPLES


class CallerTrack:
    """The audio of the microphone, with silence where it is missing."""

    def __init__(self) -> None:
        self.position = 0  # samples since the call began
        self._pcm = bytearray()
        self._is_running = False  # frames are contiguous

    def append(self, at: float, pcm: bytes) -> None:
        """Appends a frame that was complete at this time."""
        size = len(pcm) // 2
        late = round(at * SAMPLE_RATE) - size - self.position
        if late > (_MAX_LATE_SAMPLES if self._is_running else 0):
            self._pause(late)
        self._pcm += pcm[: 2 * size]
        self.position += size
        self._is_running = True

    def advance(self, at: float) -> None:
        """Appends silence for the time for which no frame can arrive any more."""
        behind = round(at * SAMPLE_RATE) - self.position
        if behind > _MAX_LATE_SAMPLES:
            self._is_running = False
        if not self._is_running and behind > _FRAME_SAMPLES:
            self._pause(behind - _FRAME_SAMPLES)

    def finish(self, position: int) -> None:
        """Appends silence up to the end of the call, in samples."""
        self._pause(max(0, position - self.position))

    def take(self) -> bytes:
        """Returns the audio since the last call."""
        new = bytes(self._pcm)
        self._pcm.clear()
        return new

    def _pause(self, samples: int) -> None:
        self._pcm += bytes(2 * samples)
        self.position += samples


class AgentTrack:
    """The audio that the speaker played, simulated with its playback buffer."""

    def __init__(self) -> None:
        self.position = 0  # samples since the call began
        self._buffer = PlaybackBuffer()
        # A chunk arrives every 10 ms. While the buffer is not empty, chunks are
        # gathered and written at once: the same result at a tenth of the cost.
        self._gathered = bytearray()
        self._ends_at = 0  # the position at which the buffer is empty
        self._pcm = bytearray()

    def play(self, at: float, pcm: bytes) -> None:
        """Appends audio to the playback buffer."""
        due = round(at * SAMPLE_RATE)
        if due < self._ends_at:
            self._gathered += pcm[: len(pcm) & ~1]
            self._ends_at += len(pcm) // 2
            return
        self._read(due)
        self._buffer.write(pcm)
        self._ends_at = self.position + self._pending

    def stop(self, at: float) -> None:
        """Drops audio that has not been played, except for a short fade-out."""
        self.advance(at)
        self._buffer.clear()
        self._ends_at = self.position + self._pending

    def advance(self, at: float) -> None:
        """Plays the audio up to this time."""
        self._read(round(at * SAMPLE_RATE))

    def finish(self) -> None:
        """Plays the rest of the buffer, at the normal end of a call."""
        self._write_gathered()
        self._read(self.position + self._pending)

    def fill(self, position: int) -> None:
        """Continues up to the end of the call, in samples."""
        self._read(position)

    def take(self) -> bytes:
        """Returns the audio since the last call."""
        new = bytes(self._pcm)
        self._pcm.clear()
        return new

    @property
    def _pending(self) -> int:
        return round(self._buffer.pending_ms * SAMPLE_RATE / 1000)

    def _write_gathered(self) -> None:
        if self._gathered:
            self._buffer.write(bytes(self._gathered))
            self._gathered.clear()
            self._ends_at = self.position + self._pending

    def _read(self, position: int) -> None:
        self._write_gathered()
        samples = position - self.position
        if samples > 0:
            self._pcm += self._buffer.read(2 * samples)
            self.position += samples


class Stereo:
    """Interleaves the caller (left) and the agent (right), as far as both are known."""

    def __init__(self) -> None:
        self._left = bytearray()
        self._right = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of one side that can be interleaved."""
        return min(len(self._left), len(self._right))

    def add(self, left: bytes, right: bytes) -> None:
        """Adds new audio of both sides."""
        self._left += left
        self._right += right

    def take(self) -> bytes:
        """Returns the interleaved audio."""
        size = self.pending
        both = interleave(bytes(self._left[:size]), bytes(self._right[:size]))
        del self._left[:size], self._right[:size]
        return both


# WAV files: caller.wav, agent.wav, and both.wav.


# Seconds of the call between two writes, at most: on a virtual clock time can jump by
# hours, and that silence must not be held in memory.
_MAX_WRITE_SECONDS = 10.0
# The stereo file is written by a quarter of a second; bytes of one side.
_STEREO_BYTES = SAMPLE_RATE // 2


class WavFiles:
    """Writes the three files; each is a valid WAV file after every write.

    Every method raises `AudioFileError` if the disk does not accept it.
    """

    def __init__(self, folder: Path) -> None:
        self._caller, self._agent, self._stereo = CallerTrack(), AgentTrack(), Stereo()
        self._files = (
            WavWriter(folder / "caller.wav", is_private=True),
            WavWriter(folder / "agent.wav", is_private=True),
            WavWriter(folder / "both.wav", channels=2, is_private=True),
        )
        self._at = 0.0
        self._drains = False

    def open(self) -> None:
        """Creates the files, without audio."""
        for file in self._files:
            file.open()
            file.write(b"")

    def note(self, at: float, what: Event | Action) -> None:
        """Handles an event or an action at a time in seconds since the call began."""
        while at - self._at > _MAX_WRITE_SECONDS:
            self._at += _MAX_WRITE_SECONDS
            self.write()
        self._at = at
        kind = type(what)
        if kind is Received or kind is Send:  # first: the most frequent
            return
        if kind is MicFrame:
            self._caller.append(at, what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is Play:
            self._agent.play(at, what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is StopPlayback:
            self._agent.stop(at)
        elif kind is Close:
            self._drains = what.drain  # type: ignore[union-attr]  # its type was compared

    def write(self) -> None:
        """Writes the audio up to the last event."""
        self._agent.advance(self._at)
        self._caller.advance(self._at)
        self._write()

    def finish(self) -> float:
        """Writes the rest, with the last audio; returns the end in seconds."""
        self._agent.advance(self._at)
        if self._drains:
            self._agent.finish()
        end = max(self._agent.position, self._caller.position)
        self._agent.fill(end)
        self._caller.finish(end)
        self._write()
        if self._stereo.pending:
            self._files[2].write(self._stereo.take())
        return end / SAMPLE_RATE

    def close(self) -> None:
        """Closes the files; harmless if they are closed."""
        for file in self._files:
            file.close()

    def _write(self) -> None:
        caller, agent = self._caller.take(), self._agent.take()
        if caller:
            self._files[0].write(caller)
        if agent:
            self._files[1].write(agent)
        self._stereo.add(caller, agent)
        if self._stereo.pending >= _STEREO_BYTES:
            self._files[2].write(self._stereo.take())


# Level envelopes of a recording's WAV files.


STEP = 0.02  # seconds of each value
_STEP_SAMPLES = round(SAMPLE_RATE * STEP)
_BLOCK_SAMPLES = _STEP_SAMPLES * 500  # limits the memory for long recordings
_FULL_SCALE = 32_768.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """Peaks (0 to 1) and voice activity of one side of a call, for each `STEP`."""

    peaks: NDArray[np.float32]
    is_loud: NDArray[np.bool_]  # loud enough for a voice

    @property
    def seconds(self) -> float:
        """Duration of the audio."""
        return len(self.peaks) * STEP

    def first_loud(self, start: float, end: float) -> float | None:
        """Returns the start of the first speech between two times, in seconds."""
        found = np.flatnonzero(self.is_loud[_step(start) : _step(end) + 1])
        return float(_step(start) + found[0]) * STEP if found.size else None

    def last_loud(self, start: float, end: float) -> float | None:
        """Returns the end of the last speech between two times, in seconds."""
        found = np.flatnonzero(self.is_loud[_step(start) : _step(end) + 1])
        return float(_step(start) + found[-1] + 1) * STEP if found.size else None

    def quiet_from(self, at: float) -> float:
        """Returns the start of the first silence at this time or later."""
        quiet = np.flatnonzero(~self.is_loud[_step(at) :])
        steps = quiet[0] if quiet.size else len(self.is_loud[_step(at) :])
        return max(at, float(_step(at) + steps) * STEP)

    def envelope(self, columns: int, seconds: float) -> NDArray[np.float32]:
        """Returns the peaks of `columns` equal parts of a duration in seconds."""
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
    """Envelopes of both sides of a call."""

    caller: Envelope
    agent: Envelope


def read_voices(folder: Path) -> Voices | None:
    """Reads the envelopes of a recording; None if it has no audio.

    Raises:
        AudioFileError: a file exists and cannot be read.
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
        with open_regular(path) as opened, wave.open(opened, "rb") as file:
            shape = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            if shape != (SAMPLE_RATE, 2, 1):
                raise AudioFileError(
                    f"'{path}' is not in the audio format of recordings "
                    f"({SAMPLE_RATE // 1000} kHz, 16 bits, mono)"
                )
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
    """Returns peak and voice activity of each step; the last one may be shorter."""
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
