"""A room with a loudspeaker and a microphone, for the real PortAudio, made of software.

A PulseAudio daemon of its own has a sink that writes what is played into a FIFO and a
source that reads what is heard from another. Between them a process plays the air:
`tests.device.simulator`. PortAudio finds both through ALSA's pulse plugin. Works for
root, too, and next to any other sound server.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.device.acoustics import CABLE, RATE, Acoustics, Clock

ROOT = Path(__file__).parents[2]
_PROGRAMS = ("pulseaudio", "pactl")
_START_SECONDS = 20.0
_PULSE = [
    "pulseaudio",
    *("-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
    *("--log-target=stderr", "--disable-shm=yes"),
]


class NoRoom(Exception):
    """No room can be made on this machine; says what is missing."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What the machine failed to do in time, not the client: samples at 44.1 kHz."""

    missing: int  # that the sound server did not bring: heard as silence
    refused: int  # that it did not take: lost to the microphone
    longest_wait: float  # seconds in which the simulator did not get to run


@dataclass(frozen=True, slots=True)
class Log:
    """What left the loudspeaker or entered the microphone, at 44.1 kHz by its clock."""

    samples: NDArray[np.int16]
    first: int  # position of the first of them in the stream
    clock: Clock

    def time_of(self, index: float) -> float:
        """Return when a sample was, on CLOCK_MONOTONIC."""
        return self.clock.time_of(self.first + index)


class Room:
    """A room that is open; made by `open_room`."""

    def __init__(self, folder: Path, simulator: subprocess.Popen[str]) -> None:
        self.environment = _environment(folder)
        self.faults = Faults(0, 0, 0.0)
        self._folder = folder
        self._simulator = simulator
        self._output, self._input = Clock(0.0), Clock(0.0)
        self._take_answer()

    def be(self, acoustics: Acoustics) -> None:
        """Be another room from now on, with other clocks."""
        self._send({"acoustics": asdict(acoustics)})

    def speak(self, pcm: bytes, *, at: float, gain: float = 1.0) -> None:
        """Let a person say something (PCM16 at 44.1 kHz), from this time on."""
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(pcm)
        self._send({"speak": file.name, "at": at, "gain": gain})
        os.unlink(file.name)

    def played(self, since: float, until: float) -> Log:
        """Return what left the loudspeaker between two times."""
        return self._read("played.s16", self._output, since, until)

    def heard(self, since: float, until: float) -> Log:
        """Return what entered the microphone between two times."""
        return self._read("heard.s16", self._input, since, until)

    def check(self) -> Faults:
        """Return what went wrong since the room was opened; forget the longest wait."""
        self._send({})
        return self.faults

    def _read(self, name: str, clock: Clock, since: float, until: float) -> Log:
        first = max(0, round(_position(clock, since)))
        last = round(_position(clock, until))
        deadline = time.monotonic() + 2
        path = self._folder / name
        # What is due may be written a moment later.
        while path.stat().st_size < 2 * last and time.monotonic() < deadline:
            time.sleep(0.01)
        count = max(0, last - first)
        samples = np.fromfile(path, "<i2", count=count, offset=2 * first)
        return Log(samples, first, clock)

    def _send(self, command: Mapping[str, Any]) -> None:
        assert self._simulator.stdin is not None
        self._simulator.stdin.write(json.dumps(command) + "\n")
        self._simulator.stdin.flush()
        self._take_answer()

    def _take_answer(self) -> None:
        assert self._simulator.stdout is not None
        line = self._simulator.stdout.readline()
        if not line:
            raise NoRoom("the simulator of the room ended")
        answer = json.loads(line)
        self._output.settings = [tuple(each) for each in answer["output"]]
        self._input.settings = [tuple(each) for each in answer["input"]]
        self.faults = Faults(
            answer["missing"], answer["refused"], answer["longest_wait"]
        )


def _position(clock: Clock, at: float) -> float:
    held = [each for each in clock.settings if each[1] <= at]
    position, since, rate = held[-1] if held else clock.settings[0]
    return position + (at - since) * rate


@contextlib.contextmanager
def open_room(acoustics: Acoustics = CABLE) -> Iterator[Room]:
    """Open a room; raises NoRoom where a program for it is missing or does not start.

    Programs that use it run with the room's `environment`.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise NoRoom(
            f"a simulated room needs {' and '.join(missing)} (Debian, Ubuntu: "
            "pulseaudio pulseaudio-utils libasound2-plugins libportaudio2)"
        )
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="room-")))
        daemon = stack.enter_context(_daemon(folder))
        simulator = stack.enter_context(_simulator(folder))
        _await_daemon(folder, daemon)
        _hurry(daemon.pid)
        room = Room(folder, simulator)
        room.be(acoustics)
        yield room


@contextlib.contextmanager
def entered(room: Room) -> Iterator[None]:
    """Let PortAudio in this process find the room's devices, as the default ones."""
    before = {name: os.environ.get(name) for name in room.environment}
    os.environ.update(room.environment)
    try:
        _look_again()
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _look_again() -> None:
    """Let PortAudio look for devices again, if it was loaded before."""
    library = sys.modules.get("sounddevice")
    if library is not None:
        library._terminate()
        library._initialize()


def _environment(folder: Path) -> dict[str, str]:
    server = folder / "pulse" / "native"
    return {
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_SERVER": f"unix:{server}",
        "PULSE_COOKIE": str(folder / "cookie"),
    }


@contextlib.contextmanager
def _daemon(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    pipe = f"rate={RATE}"
    modules = [
        "module-native-protocol-unix auth-anonymous=1",
        # In stereo float32 the 4096 bytes that the sink writes at once are 11.6 ms.
        f"module-pipe-sink sink_name=loudspeaker file={folder}/loudspeaker "
        f"format=float32le channels=2 {pipe}",
        f"module-pipe-source source_name=microphone file={folder}/microphone "
        f"format=s16le channels=1 {pipe}",
    ]
    loading = [argument for module in modules for argument in ("-L", module)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*_PULSE, *loading],
            stdout=log,
            stderr=log,
            env={**os.environ, **_environment(folder)},
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _simulator(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.device.simulator", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _await_daemon(folder: Path, daemon: subprocess.Popen[bytes]) -> None:
    environment = {**os.environ, **_environment(folder)}
    deadline = time.monotonic() + _START_SECONDS
    for default in (
        ["set-default-sink", "loudspeaker"],
        ["set-default-source", "microphone"],
    ):
        while subprocess.run(
            ["pactl", *default], env=environment, capture_output=True, check=False
        ).returncode:
            if daemon.poll() is not None or time.monotonic() > deadline:
                log = (folder / "log").read_text(errors="replace")
                raise NoRoom(f"pulseaudio did not start: {log.strip()[-300:]}")
            time.sleep(0.05)


def _hurry(pid: int) -> None:
    """Let a sound server go before what it serves, where that is allowed."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(10))
