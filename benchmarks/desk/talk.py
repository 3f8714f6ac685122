"""A caller talks while the agent speaks: is it detected in a second and understood?

Near speech as loud as the echo; the agent stops a second after its onset. The
same is measured with headphones, where there is no echo.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from benchmarks.desk.capture import Wanted, seconds_for
from benchmarks.desk.judging import Branch
from benchmarks.desk.rooms import capture_all
from tests.device.acoustics import Acoustics, living_room

_DELAYS = (0.04, 0.08, 0.12, 0.18, 0.25)
_LEVEL = -10.0


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser("benchmarks.desk talk", description=__doc__)
    options.add_argument("--count", type=int, default=100, help="utterances")
    options.add_argument("--at-once", type=int, default=5, help="rooms")
    options.add_argument("--near", type=float, default=0.0, help="dB beside the echo")
    options.add_argument("--words", action="store_true", help="let Whisper listen, too")
    chosen = options.parse_args(arguments)
    parts = [
        range(chosen.count)[start :: len(_DELAYS)] for start in range(len(_DELAYS))
    ]
    rooms = [living_room(delay, _LEVEL) for delay in _DELAYS]
    worn = [Acoustics(0.04, None, noise=-65.0)] * len(rooms)
    wanted = [
        Wanted(
            room,
            seconds_for(len(part)),
            utterances=list(part),
            near_db=chosen.near,
            near_level=_LEVEL,
        )
        for room, part in zip([*rooms, *worn], [*parts, *parts], strict=True)
    ]
    results = list(capture_all(wanted, chosen.at_once, words=chosen.words))
    loud, quiet = results[: len(rooms)], results[len(rooms) :]
    print(f"{chosen.count} utterances at {chosen.near:+.0f} dB beside the echo")
    print("                      kept  median delay  false    word errors")
    _print("echo, cancelled", [result.clean for _, result in loud], chosen.count)
    _print("echo, raw", [result.raw for _, result in loud], chosen.count)
    _print("headphones", [result.raw for _, result in quiet], chosen.count)
    faults = sum(result.missing + result.refused for _, result in results)
    print(f"  machine's faults: {faults} samples")


def _print(name: str, branches: Sequence[Branch], count: int) -> None:
    kept = sum(branch.kept for branch in branches)
    delays = [delay for branch in branches for delay in branch.delays]
    median = f"{statistics.median(delays):.2f} s" if delays else "-"
    errors = sum(branch.errors for branch in branches)
    words = sum(branch.words for branch in branches)
    misheard = f"{errors / words:.1%} of {words}" if words else "-"
    print(
        f"  {name:<17}{kept / count:8.0%}{median:>12}"
        f"{sum(branch.false for branch in branches):9}{misheard:>17}"
    )
