"""Recordings of killed processes; benchmarks/kills.py kills a hundred."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from benchmarks.kills import kill_once
from runner.recording.reader import read_recording


async def test_a_killed_call_leaves_a_recording_of_all_but_its_last_moment(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / str(number) for number in range(5)]
    lots = random.Random()

    found = await asyncio.gather(
        *(kill_once(lots.uniform(0.7, 1.3), folder) for folder in folders)
    )

    for each in found:
        assert each.is_true
        # On a quiet machine a tenth of a second; here others may be running.
        assert max(each.lines, each.caller, each.agent) < 0.5
    for folder in folders:
        recording = read_recording(folder)
        assert not recording.is_complete
        assert recording.skipped == 0
