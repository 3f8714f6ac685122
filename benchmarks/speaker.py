"""What the speaker of a sound card costs, and how smoothly it is interrupted.

    python benchmarks/speaker.py [--seconds 60] [--cuts 200]

A simulated device without PortAudio: replies arrive in pieces of 10 ms, late by up to
40 ms, and are played at 48 kHz in blocks of 10 ms. The device's own buffer comes on top
of the time from a cut to silence.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.audio.portaudio.test_speaker import LEVEL, Desk, largest_step, late, paced


def measure_cost(seconds: float) -> float:
    """Return the share of a core that playing takes, the simulation not counted."""
    desk = Desk()
    spent = 0.0
    play, render = desk.speaker.play, desk.speaker.render

    def timed_play(pcm: bytes) -> None:
        nonlocal spent
        began = time.thread_time()
        play(pcm)
        spent += time.thread_time() - began

    def timed_render(size: int, at: float) -> bytes:
        nonlocal spent
        began = time.thread_time()
        pcm = render(size, at)
        spent += time.thread_time() - began
        return pcm

    desk.speaker.play = timed_play  # type: ignore[method-assign]  # measured here
    desk.speaker.render = timed_render  # type: ignore[method-assign]  # and here
    desk.run(late(paced(seconds), 0.04), seconds)
    return spent / seconds


def measure_cuts(count: int) -> tuple[list[float], int, float]:
    """Return how long each cut took to silence in ms, the largest step, the bound."""
    times: list[float] = []
    steps: list[int] = []
    for number in range(count):
        desk = Desk()
        cut = 0.3 + 0.0037 * number
        played = desk.run(late(paced(2.0), 0.04, number), cut + 0.3, cut=cut)
        block = desk.rate // 100
        decided = math.ceil(cut * 100 - 1e-6) * block
        loud = np.flatnonzero(np.abs(played) > LEVEL / 1000)
        times.append(max(0.0, (loud[-1] - decided) * 1000 / desk.rate))
        steps.append(largest_step(played))
    return sorted(times), max(steps), desk.steepest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cuts", type=int, default=200)
    wanted = parser.parse_args()
    share = measure_cost(wanted.seconds)
    print(f"playing: {share * 100:.2f} % of a core, {share * 1e4:.0f} us each 10 ms")
    times, step, bound = measure_cuts(wanted.cuts)
    p50, p99 = statistics.median(times), times[int(0.99 * (len(times) - 1))]
    print(f"{len(times)} cuts, decision to silence at the device's block:")
    print(f"  p50 {p50:.1f} ms   p99 {p99:.1f} ms   longest {times[-1]:.1f} ms")
    print(f"  largest step {step}; the tone's and the fade's own: up to {bound:.0f}")


if __name__ == "__main__":
    main()
