"""An agent is interrupted: how soon is the loudspeaker silent, and does it click?

A tone is cut at any moment. The clock starts when the core decides to stop playing,
and stops with the last audible sample at the loudspeaker; up to the last audible block
that PortAudio took it is the client's doing, from there on the device's own.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

import numpy as np

from benchmarks.desk.service import TONE_HZ, TONE_LEVEL
from benchmarks.desk.session import Held, hold_call
from tests.device.acoustics import RATE, Acoustics
from tests.device.room import Room, entered, open_room

_SECONDS_A_CUT = 1.85
_SILENT = 33  # of 32,768: -60 dBFS
_WAIT = 0.35  # seconds after a cut in which nothing else is played


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser("benchmarks.desk cuts", description=__doc__)
    options.add_argument("--count", type=int, default=200)
    options.add_argument("--seconds", type=float, help="in place of --count")
    chosen = options.parse_args(arguments)
    seconds = chosen.seconds or 4 + chosen.count * _SECONDS_A_CUT
    with open_room(Acoustics(0.08, -10.0, 0.06, -65.0)) as room, entered(room):
        before = room.faults
        held = hold_call("tone", seconds)
        faults = room.check()
        figures = [_look(held, room, at) for at in held.cuts[:-1]]
    cut = [each for each in figures if each is not None][: chosen.count]
    print(f"{len(cut)} cuts of a tone of {TONE_HZ:.0f} Hz, ms")
    print("                                p50     p99   longest")
    _print("decision -> silent loudspeaker", [each[0] for each in cut])
    _print("  the client's, fade included", [each[1] for each in cut])
    _print("  the device's own", [each[0] - each[1] for each in cut])
    own = TONE_LEVEL * 2 * np.sin(np.pi * TONE_HZ / RATE)
    worst = max(each[2] for each in cut)
    handed = max(each[3] for each in cut)
    print(
        f"  largest step at a cut {handed:.4f} of full scale as the client gave it, "
        f"{worst:.4f} at the loudspeaker; the tone's own {own:.4f}"
    )
    lost = faults.missing + faults.refused - before.missing - before.refused
    print(f"  machine's faults: {lost} samples")


def _print(name: str, values: Sequence[float]) -> None:
    ordered = sorted(values)
    p99 = ordered[int(0.99 * (len(ordered) - 1))]
    print(
        f"  {name:<29}{1000 * statistics.median(ordered):6.1f}{1000 * p99:8.1f}"
        f"{1000 * ordered[-1]:10.1f}"
    )


def _look(
    held: Held, room: Room, at: float
) -> tuple[float, float, float, float] | None:
    """Return seconds to silence and to the last audible block, and largest steps.

    The steps are those at the loudspeaker, where a machine that is busy loses audio,
    and those of what the client handed to PortAudio.
    """
    log = room.played(at - 0.1, at + _WAIT)
    audible = np.flatnonzero(np.abs(log.samples) > _SILENT)
    if not len(audible) or np.abs(log.samples[-RATE // 20 :]).max() > _SILENT:
        return None
    silent = log.time_of(int(audible[-1])) - at
    blocks = [
        passed
        for passed, pcm in zip(held.played.at, held.played.pcm, strict=True)
        if at - 0.1 < passed < at + _WAIT
        and np.abs(np.frombuffer(pcm, "<i2")).max() > _SILENT
    ]
    last = max(0.0, max(blocks) - at) if blocks else 0.0
    handed = [
        np.frombuffer(pcm, "<i2")
        for passed, pcm in zip(held.played.at, held.played.pcm, strict=True)
        if at - 0.1 < passed < at + _WAIT
    ]
    steps = _largest_step(log.samples), _largest_step(np.concatenate(handed))
    return silent, last, *steps


def _largest_step(samples: np.ndarray) -> float:
    return float(np.abs(np.diff(samples.astype(np.int32))).max()) / 32_768
