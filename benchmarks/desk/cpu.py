"""CPU of the whole client in silence and while the agent speaks.

`vagent run` as a person starts it, echo cancellation included, against a service on
this machine; next to it the least client that has the same audio, with this canceller,
with LiveKit's audio processing module (where it is installed) and with none. User and
system time of the process, in % of a core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.desk.session import far_end
from benchmarks.desk.sounds import story
from tests.device.acoustics import living_room
from tests.device.room import ROOT, open_room

_SETTLING = 6.0  # seconds until imports and the first words are over
_AGENT = ROOT / "agents" / "storyteller.yaml"
_BARE = {
    "bare loop, pywebrtc-audio": "pywebrtc",
    "bare loop, LiveKit's module": "livekit",
    "bare loop, no cancellation": "none",
}


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser("benchmarks.desk cpu", description=__doc__)
    options.add_argument("--seconds", type=float, default=30, help="for each figure")
    options.add_argument("--livekit", type=Path, help="pip's --target with livekit")
    chosen = options.parse_args(arguments)
    story()
    with open_room(living_room(0.08, -10)) as room:
        environment = {**os.environ, **room.environment, "PYTHONPATH": str(ROOT)}
        environment.setdefault("TERM", "xterm-256color")
        if chosen.livekit:
            environment["PYTHONPATH"] += f"{os.pathsep}{chosen.livekit}"
        print("                               idle   talking")
        for name, command in _commands(environment).items():
            figures = [
                _measure(command, script, chosen.seconds, environment)
                for script in ("quiet", "story")
            ]
            print(f"  {name:<28}{figures[0]:6.1f}%{figures[1]:9.1f}%", flush=True)
        for name, kind in _BARE.items():
            if kind == "livekit" and not _has_livekit(environment):
                print(f"  {name:<28}not measured: pip install --target DIR livekit")
                continue
            command = ["-m", "benchmarks.desk.bare", "URL", kind]
            figures = [
                _measure(command, script, chosen.seconds, environment)
                for script in ("quiet", "story")
            ]
            print(f"  {name:<28}{figures[0]:6.1f}%{figures[1]:9.1f}%", flush=True)


def _commands(environment: dict[str, str]) -> dict[str, Sequence[str]]:
    run = ["-m", "runner", "run", str(_AGENT), "--service", "URL"]
    shown = subprocess.run(
        [sys.executable, "-m", "runner", "run", "--help"],
        env={**environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    views = ("plain", "wire", "chat") if "--view" in shown else ()
    commands: dict[str, Sequence[str]] = {
        f"vagent run --view {view}": [*run, "--view", view] for view in views
    }
    commands = commands or {"vagent run": run}
    commands[f"{[*commands][0]} --echo off"] = [
        *[*commands.values()][0],
        "--echo",
        "off",
    ]
    return commands


def _has_livekit(environment: dict[str, str]) -> bool:
    command = [sys.executable, "-c", "import livekit.rtc.apm"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    return done.returncode == 0


def _measure(
    command: Sequence[str], script: str, seconds: float, environment: dict[str, str]
) -> float:
    """Return the CPU time of the client, in % of a core."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "far.npz"
        with far_end(script, path) as url:
            filled = [url if word == "URL" else word for word in command]
            with _at_a_terminal(filled, environment) as client:
                time.sleep(_SETTLING)
                before, since = _cpu_seconds(client.pid), time.monotonic()
                time.sleep(seconds)
                used = _cpu_seconds(client.pid) - before
                if client.poll() is not None:
                    raise SystemExit(f"the client ended early: {' '.join(filled)}")
                return 100 * used / (time.monotonic() - since)


@contextlib.contextmanager
def _at_a_terminal(
    command: Sequence[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command at a terminal whose screen is discarded."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        cwd=ROOT,
        start_new_session=True,
    )
    os.close(theirs)

    def drain() -> None:
        with contextlib.suppress(OSError):  # EIO: the client is gone
            while os.read(ours, 65_536):
                pass

    draining = threading.Thread(target=drain)
    draining.start()
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        draining.join()
        os.close(ours)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
