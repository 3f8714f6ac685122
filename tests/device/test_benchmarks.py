"""A short round of the benchmarks of the desk that need no speech."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.device.room import ROOT, Room


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("path", ("through the client", "device's own")),
        ("cuts", ("decision -> silent loudspeaker", "the device's own")),
    ],
)
def test_a_short_round_prints_its_rows(
    building: Room, name: str, rows: tuple[str, ...]
) -> None:
    del building  # each opens a room of its own; this one says whether that is possible
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.desk", name, "--seconds", "12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    for row in rows:
        figures = rf"^ *{re.escape(row)} +\d+\.\d+ +\d+\.\d+ +\d+\.\d+$"
        assert re.search(figures, done.stdout, re.M), done.stdout
