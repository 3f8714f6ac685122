"""The doctor's loop through the real PortAudio, in a room made of PulseAudio."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
needs_pulse = pytest.mark.skipif(
    not (shutil.which("pulseaudio") and shutil.which("pactl")),
    reason="needs pulseaudio and pactl",
)


@contextlib.contextmanager
def sound_card(folder: Path, microphone: str) -> Iterator[dict[str, str]]:
    """Run a sound server of one's own; yields what of the environment leads to it.

    What is played goes to the sink `room`; `microphone` is the source that is heard.
    """
    environment = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_SERVER": f"unix:{folder}/pulse/native",
        "PYTHONPATH": str(ROOT),
        "VAGENT_MODELS": str(folder / "models"),
    }
    sinks = [
        f"--load=module-null-sink sink_name={name} rate=48000"
        for name in ("room", "quiet")
    ]
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no"]
        + ["--exit-idle-time=-1", "--load=module-native-protocol-unix", *sinks],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # It retries until the server takes its first command.
        subprocess.run(
            "until pactl set-default-sink room; do sleep 0.05; done; "
            f"pactl set-default-source {microphone}",
            shell=True,
            check=True,
            env=environment,
            timeout=20,
            stderr=subprocess.DEVNULL,
        )
        yield environment
    finally:
        server.terminate()
        server.wait()


def look(environment: dict[str, str], *arguments: str) -> dict[str, dict[str, Any]]:
    """Return the findings by name, and what was announced as one of them."""
    done = subprocess.run(
        [sys.executable, "-m", "runner", "doctor", "--json", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=120,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines} | {"said": {"detail": done.stderr}}


@needs_pulse
def test_the_loop_through_a_room_is_measured_and_cancelled(tmp_path: Path) -> None:
    with sound_card(tmp_path, "room.monitor") as environment:
        found = look(environment)

    for name in ("portaudio", "microphone", "speaker", "loop", "echo"):
        assert found[name]["state"] == "ok", found[name]
    # The monitor is what was played; on a busy machine a block of it may be missing.
    assert re.match("heard at -2[345] dBFS", found["loop"]["detail"])
    assert found["said"]["detail"].startswith("playing two seconds of quiet tones")
    assert re.match("([+]0|-1) dB comes back; cancell", found["echo"]["detail"])


@needs_pulse
def test_a_silent_microphone_is_called_out(tmp_path: Path) -> None:
    with sound_card(tmp_path, "quiet.monitor") as environment:
        found = look(environment)

    assert found["loop"]["state"] == "failed"
    assert "digital silence" in found["loop"]["detail"]


@needs_pulse
def test_nothing_is_played_without_leave(tmp_path: Path) -> None:
    with sound_card(tmp_path, "room.monitor") as environment:
        found = look(environment, "--no-audio")

    assert found["microphone"]["state"] == "ok"
    assert found["loop"]["state"] == "skipped"
    assert found["said"]["detail"] == ""
