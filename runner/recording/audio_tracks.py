"""Both voices of a call as sound without gaps, by the times of what happened.

A track is fed with times in seconds since the call began, and gives 24 kHz mono PCM16
that begins with the call.
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

_FRAME = SAMPLE_RATE * FRAME_MS // 1000
# A loop that was held up gets the microphone's frames late and in a burst, and then no
# sound is missing; what is later than the microphone's backlog is missing.
_PATIENCE = SAMPLE_RATE * MICROPHONE_BACKLOG_MS // 1000 + _FRAME


class CallerTrack:
    """What the microphone gave, with silence where it gave nothing."""

    def __init__(self) -> None:
        self.position = 0  # samples since the call began
        self._sound = bytearray()
        self._is_running = False  # frames follow one another

    def hear(self, at: float, pcm: bytes) -> None:
        """Append a frame that was complete at this time."""
        size = len(pcm) // 2
        late = round(at * SAMPLE_RATE) - size - self.position
        if late > (_PATIENCE if self._is_running else 0):
            self._pause(late)
        self._sound += pcm[: 2 * size]
        self.position += size
        self._is_running = True

    def advance(self, at: float) -> None:
        """Let time pass: where no frame can come any more, there was silence."""
        behind = round(at * SAMPLE_RATE) - self.position
        if behind > _PATIENCE:
            self._is_running = False
        if not self._is_running and behind > _FRAME:
            self._pause(behind - _FRAME)

    def finish(self, position: int) -> None:
        """Fill up with silence to the end of the call, in samples."""
        self._pause(max(0, position - self.position))

    def take(self) -> bytes:
        """Return what is new."""
        new = bytes(self._sound)
        self._sound.clear()
        return new

    def _pause(self, samples: int) -> None:
        self._sound += bytes(2 * samples)
        self.position += samples


class AgentTrack:
    """What a speaker played: the same buffer as the speaker's, emptied by the times."""

    def __init__(self) -> None:
        self.position = 0  # samples since the call began
        self._buffer = PlaybackBuffer()
        # Pieces come every 10 ms. One that follows before the buffer has run out may as
        # well be written with those after it: that is the same, and costs a tenth.
        self._following = bytearray()
        self._lasts_until = 0  # the position at which the buffer runs out
        self._sound = bytearray()

    def play(self, at: float, pcm: bytes) -> None:
        """Append sound to what is being played."""
        due = round(at * SAMPLE_RATE)
        if due < self._lasts_until:
            self._following += pcm[: len(pcm) & ~1]
            self._lasts_until += len(pcm) // 2
            return
        self._read(due)
        self._buffer.write(pcm)
        self._lasts_until = self.position + self._pending

    def stop(self, at: float) -> None:
        """Drop what has not been played yet, but for a short fade."""
        self.advance(at)
        self._buffer.clear()
        self._lasts_until = self.position + self._pending

    def advance(self, at: float) -> None:
        """Play what has become due."""
        self._read(round(at * SAMPLE_RATE))

    def finish(self) -> None:
        """Play what is left: the last words of a call that ended well."""
        self._settle()
        self._read(self.position + self._pending)

    def fill(self, position: int) -> None:
        """Go on to the end of the call, in samples."""
        self._read(position)

    def take(self) -> bytes:
        """Return what is new."""
        new = bytes(self._sound)
        self._sound.clear()
        return new

    @property
    def _pending(self) -> int:
        return round(self._buffer.pending_ms * SAMPLE_RATE / 1000)

    def _settle(self) -> None:
        if self._following:
            self._buffer.write(bytes(self._following))
            self._following.clear()
            self._lasts_until = self.position + self._pending

    def _read(self, position: int) -> None:
        self._settle()
        samples = position - self.position
        if samples > 0:
            self._sound += self._buffer.read(2 * samples)
            self.position += samples


class Stereo:
    """Lays the caller left and the agent right, as far as both are known."""

    def __init__(self) -> None:
        self._left = bytearray()
        self._right = bytearray()

    @property
    def pending(self) -> int:
        """How much can be laid together, in bytes of one side."""
        return min(len(self._left), len(self._right))

    def add(self, left: bytes, right: bytes) -> None:
        """Take in what is new of both."""
        self._left += left
        self._right += right

    def take(self) -> bytes:
        """Return what can be laid together."""
        size = self.pending
        both = interleave(bytes(self._left[:size]), bytes(self._right[:size]))
        del self._left[:size], self._right[:size]
        return both


# The sound of a recording: caller.wav, agent.wav, and both.wav of the two.


# Written at least so often, in seconds of the call: where time leaps, as it does on a
# clock that is not real, silence must not be held in memory by the hour.
_STEP = 10.0
# What lies in the two files already may come into the third one later: in bytes of one
# of them, a quarter of a second.
_STEREO_EVERY = SAMPLE_RATE // 2


class WavFiles:
    """Writes the three files; each is whole and has its right length at every moment.

    The third follows the other two by a quarter of a second.

    Every method raises `AudioFileError` when the disk does not take it.
    """

    def __init__(self, folder: Path) -> None:
        self._caller, self._agent, self._stereo = CallerTrack(), AgentTrack(), Stereo()
        self._files = (
            WavWriter(folder / "caller.wav"),
            WavWriter(folder / "agent.wav"),
            WavWriter(folder / "both.wav", channels=2),
        )
        self._at = 0.0
        self._drains = False

    def open(self) -> None:
        """Make the files, without sound."""
        for file in self._files:
            file.open()
            file.write(b"")

    def note(self, at: float, what: Event | Action) -> None:
        """Take in an event or an action, seconds since the call began."""
        while at - self._at > _STEP:
            self._at += _STEP
            self.write()
        self._at = at
        kind = type(what)
        if kind is Received or kind is Send:  # most of all, and nothing for these files
            return
        if kind is MicFrame:
            self._caller.hear(at, what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is Play:
            self._agent.play(at, what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is StopPlayback:
            self._agent.stop(at)
        elif kind is Close:
            self._drains = what.drain  # type: ignore[union-attr]  # its type was compared

    def write(self) -> None:
        """Bring the files up to date."""
        self._agent.advance(self._at)
        self._caller.advance(self._at)
        self._write()

    def finish(self) -> float:
        """Write the end, last words included; return its time in seconds."""
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
        """Close the files; harmless when they are closed."""
        for file in self._files:
            file.close()

    def _write(self) -> None:
        caller, agent = self._caller.take(), self._agent.take()
        if caller:
            self._files[0].write(caller)
        if agent:
            self._files[1].write(agent)
        self._stereo.add(caller, agent)
        if self._stereo.pending >= _STEREO_EVERY:
            self._files[2].write(self._stereo.take())


# How loud both voices of a recording are, moment by moment, from its sound files.


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
