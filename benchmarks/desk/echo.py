"""Counts how often the agent interrupts itself while only the agent speaks.

With echo cancellation, and next to it, in the same recording, without.
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks.desk.capture import Wanted
from benchmarks.desk.rooms import capture_all
from tests.device.acoustics import living_room

DELAYS_MS = (40, 80, 120, 180, 250)
LEVELS = (-6, -10, -20)


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser("benchmarks.desk echo", description=__doc__)
    options.add_argument("--seconds", type=float, default=600, help="in each room")
    options.add_argument("--at-once", type=int, default=5, help="rooms")
    options.add_argument("--delays", type=int, nargs="+", default=DELAYS_MS)
    options.add_argument("--levels", type=int, nargs="+", default=LEVELS)
    chosen = options.parse_args(arguments)
    wanted = [
        Wanted(living_room(delay / 1000, level), chosen.seconds)
        for level in chosen.levels
        for delay in chosen.delays
    ]
    print(f"an agent speaks for {chosen.seconds:.0f} s in each room")
    print("  room           false barge-ins    echo      clicks  machine's")
    print("  delay   level   cancelled    raw   quieter           faults")
    for each, result in capture_all(wanted, chosen.at_once):
        erle = statistics.median(span.erle for span in result.spans)
        print(
            f"  {1000 * each.acoustics.delay:3.0f} ms {each.acoustics.level:4.0f} dB"
            f"{result.clean.false:11}{result.raw.false:8}{erle:7.1f} dB"
            f"{result.clicks:9}{result.missing + result.refused:11}",
            flush=True,
        )
