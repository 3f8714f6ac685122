"""The air between a loudspeaker and a microphone, as a process with an exact clock.

    python -m tests.device.simulator FOLDER

Reads what is played from FOLDER/loudspeaker (stereo float32) and writes what is heard
to FOLDER/microphone (mono PCM16), each at its own rate by CLOCK_MONOTONIC. Keeps both
in FOLDER/played.s16 and FOLDER/heard.s16 (mono PCM16 at 44.1 kHz). Obeys JSON lines on
stdin, answers each with one on stdout, and leaves at the end of stdin:

    {"acoustics": {...}}                       a room, by the fields of `Acoustics`
    {"speak": FILE, "at": TIME, "gain": 0.5}   near speech from a file of 44.1 kHz PCM16
    {}                                         nothing: asks how it goes
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.device.acoustics import CABLE, RATE, Acoustics, Air, Clock

PERIOD = 0.01  # seconds between two looks at the clock: the devices' own block
# Of the loudspeaker's FIFO: two pages, of 11.6 ms of stereo float32 each.
FIFO_BYTES = 8192
_FRAME = 8  # bytes of stereo float32
_PATIENCE = 0.002  # seconds for the sound server to bring what it is late with
_NOISE_SECONDS = 10
_UNUSED = 0.25  # seconds without a sample after which a device is taken to be unused


@dataclass(slots=True)
class Speech:
    """Near speech that is yet to be heard, or is being heard."""

    samples: NDArray[np.float32]
    start: int  # position in the microphone's stream


@dataclass(slots=True)
class Faults:
    """What the machine failed to do in time; nothing of this is the client's doing."""

    missing: int = 0  # samples that the sound server did not bring
    refused: int = 0  # samples that it did not take
    longest_wait: float = 0.0  # seconds between two looks at the clock


class Gap:
    """Samples that did not pass. An unused device does not move: not a fault."""

    def __init__(self) -> None:
        self._samples = 0

    def note(self, lost: int, passed: int) -> int:
        """Take in what became of the last samples; return how many are a fault."""
        before, self._samples = self._samples, self._samples + lost
        if not passed:
            return 0
        fault = self._samples if before < _UNUSED * RATE else lost
        self._samples = 0
        return fault


class Room:
    """Both devices and what is between them."""

    def __init__(self, folder: Path, now: float) -> None:
        self.output, self.input = Clock(now), Clock(now)
        self.faults = Faults()
        self._played_log = (folder / "played.s16").open("wb", buffering=0)
        self._heard_log = (folder / "heard.s16").open("wb", buffering=0)
        self._loudspeaker = os.open(folder / "loudspeaker", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._loudspeaker, fcntl.F_SETPIPE_SZ, FIFO_BYTES)
        self._microphone = os.open(folder / "microphone", os.O_WRONLY | os.O_NONBLOCK)
        self._gaps = Gap(), Gap()
        self._half_frame = b""
        self._played = self._heard = 0
        self._speech: list[Speech] = []
        self._air = Air(CABLE)
        self._delay = CABLE.delay
        noise = np.random.default_rng(3).standard_normal(_NOISE_SECONDS * RATE)
        self._hiss = noise.astype(np.float32)
        self._noise = np.float32(0)

    def obey(self, command: dict[str, Any], now: float) -> None:
        """Do as a line says."""
        if "acoustics" in command:
            acoustics = Acoustics(**command["acoustics"])
            self._air.furnish(acoustics)
            self._delay = acoustics.delay
            level = acoustics.noise
            self._noise = np.float32(0 if level is None else 10 ** (level / 20))
            self.output.set(acoustics.output_ppm, now)
            self.input.set(acoustics.input_ppm, now)
        if "speak" in command:
            pcm = np.fromfile(command["speak"], "<i2").astype(np.float32) / 32_768
            start = round(self.input.position(command["at"]))
            louder = (pcm * command["gain"]).astype(np.float32)
            self._speech.append(Speech(louder, start))

    def advance(self, now: float) -> None:
        """Play and hear what is due."""
        due = int(self.output.position(now)) - self._played
        if due > 0:
            self._play(due)
        due = int(self.input.position(now)) - self._heard
        if due > 0:
            self._hear(due)

    def _play(self, count: int) -> None:
        data, waited = self._half_frame, False
        while len(data) < count * _FRAME:
            try:
                more = os.read(self._loudspeaker, count * _FRAME - len(data))
            except BlockingIOError:
                more = b""
            data += more
            if not more:
                if waited:
                    break
                select.select([self._loudspeaker], [], [], _PATIENCE)
                waited = True
        whole = len(data) - len(data) % _FRAME
        self._half_frame = data[whole:]
        samples = np.zeros(count, np.float32)
        got = np.frombuffer(data[:whole], "<f4")[::2]
        samples[: len(got)] = got
        self.faults.missing += self._gaps[0].note(count - len(got), len(got))
        self._air.play(samples)
        self._played_log.write(_to_pcm(samples))
        self._played += count

    def _hear(self, count: int) -> None:
        rate = self.output.settings[-1][2]
        at = self.input.time_of(self._heard) - self._delay
        step = rate / self.input.settings[-1][2]
        heard = self._air.hear(self.output.position(at), step, count)
        index = np.arange(self._heard, self._heard + count) % len(self._hiss)
        heard += self._noise * self._hiss[index]
        for speech in self._speech:
            _mix(heard, self._heard, speech)
        end = self._heard + count
        self._speech = [s for s in self._speech if s.start + len(s.samples) > end]
        pcm = _to_pcm(heard)
        self._heard_log.write(pcm)
        self._heard = end
        try:
            written = os.write(self._microphone, pcm)
        except BlockingIOError:
            written = 0
        lost = (len(pcm) - written) // 2
        self.faults.refused += self._gaps[1].note(lost, written)


def _mix(heard: NDArray[np.float32], first: int, speech: Speech) -> None:
    start = max(first, speech.start)
    end = min(first + len(heard), speech.start + len(speech.samples))
    if start < end:
        piece = speech.samples[start - speech.start : end - speech.start]
        heard[start - first : end - first] += piece


def _to_pcm(samples: NDArray[np.float32]) -> bytes:
    scaled = np.clip(np.rint(samples * 32_768), -32_768, 32_767)
    return scaled.astype("<i2").tobytes()


def _open_when_there(folder: Path) -> Room:
    """Opens the FIFOs; a microphone without a reader cannot be opened yet."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return Room(folder, time.monotonic())
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT):
                raise
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def main() -> None:
    # A device is never late; where that may not be asked for, it is as good as it is.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))
    room = _open_when_there(Path(sys.argv[1]))
    _answer(room)
    due, last, text = time.monotonic(), time.monotonic(), b""
    while True:
        due += PERIOD
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        room.faults.longest_wait = max(room.faults.longest_wait, now - last)
        last = now
        room.advance(now)
        if select.select([0], [], [], 0)[0]:
            piece = os.read(0, 65_536)
            if not piece:
                break
            *lines, text = (text + piece).split(b"\n")
            for line in lines:
                room.obey(json.loads(line), now)
                _answer(room)
    _answer(room)


def _answer(room: Room) -> None:
    faults = room.faults
    answer = {
        "output": room.output.settings,
        "input": room.input.settings,
        "missing": faults.missing,
        "refused": faults.refused,
        "longest_wait": faults.longest_wait,
    }
    print(json.dumps(answer), flush=True)
    faults.longest_wait = 0.0


if __name__ == "__main__":
    main()
