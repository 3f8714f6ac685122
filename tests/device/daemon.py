"""A sound server of a test's own, to be stopped, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_SINKS = "room", "other"
_START_SECONDS = 10.0


class Daemon:
    """PulseAudio with two sinks, each heard by its monitor."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        for program in ("pulseaudio", "pactl"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed")
        command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no"]
        command += ["--exit-idle-time=-1", "-L", "module-native-protocol-unix"]
        for sink in _SINKS:
            command += ["-L", f"module-null-sink sink_name={sink} rate=48000"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + _START_SECONDS
        while subprocess.run(["pactl", "info"], capture_output=True).returncode:
            if time.monotonic() > until:
                pytest.fail("pulseaudio does not start")
        self.use(_SINKS[0])

    def use(self, sink: str) -> None:
        """Make a sink and its monitor the defaults."""
        self.command("set-default-sink", sink)
        self.command("set-default-source", f"{sink}.monitor")

    def command(self, *words: str) -> None:
        """Have the daemon do something."""
        subprocess.run(["pactl", *words], check=True, capture_output=True)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def daemon(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("pulse")
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(folder))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{folder}/pulse/native")
    daemon = Daemon(folder)
    daemon.start()
    yield daemon
    daemon.kill()
