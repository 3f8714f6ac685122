"""The clocks of microphone and loudspeaker are off: does anything grow, click or fail?

One reply without end, at exactly real time: the hardest case, as nothing in it lets a
buffer catch up. Each row is a minute; delays are measured by the room's own clock.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.desk.capture import Wanted
from benchmarks.desk.judging import Result, Span
from benchmarks.desk.rooms import capture_all
from tests.device.acoustics import Acoustics

_ROWS = 6


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser("benchmarks.desk drift", description=__doc__)
    options.add_argument("--seconds", type=float, default=1800)
    options.add_argument("--ppm", type=float, default=200)
    options.add_argument("--at-once", type=int, default=4, help="rooms")
    chosen = options.parse_args(arguments)
    wanted = [
        Wanted(_room(output, input), chosen.seconds, is_continuous=True)
        for output, input in (
            (chosen.ppm, 0.0),
            (-chosen.ppm, 0.0),
            (0.0, chosen.ppm),
            (0.0, -chosen.ppm),
        )
    ]
    print(f"one reply of {chosen.seconds:.0f} s, clocks off by {chosen.ppm:.0f} ppm")
    for each, result in capture_all(wanted, chosen.at_once):
        _print(each, result)


def _room(output_ppm: float, input_ppm: float) -> Acoustics:
    return Acoustics(0.08, -10.0, 0.06, -65.0, output_ppm, input_ppm)


def _print(wanted: Wanted, result: Result) -> None:
    room = wanted.acoustics
    print(
        f"loudspeaker {room.output_ppm:+.0f} ppm, microphone {room.input_ppm:+.0f} ppm"
    )
    print("  minute  buffered  play delay  mic delay  underruns  dropped  echo quieter")
    for number in _some(result.spans):
        span = result.spans[number]
        print(
            f"  {number + 1:6}{span.pending:7.0f} ms{span.played_after:9.0f} ms"
            f"{span.heard_after:8.1f} ms{span.underruns:11}{span.dropped:6.0f} ms"
            f"{span.erle:11.1f} dB"
        )
    print(
        f"  in all: {sum(span.underruns for span in result.spans)} underruns, "
        f"{sum(span.dropped for span in result.spans):.0f} ms dropped, "
        f"{result.clicks} clicks (loudest {result.loudest_click:.4f} of full scale), "
        f"{result.clean.false} false barge-ins (raw {result.raw.false}); "
        f"machine's faults {result.missing + result.refused} samples",
        flush=True,
    )


def _some(spans: Sequence[Span]) -> list[int]:
    """Return the numbers of the first, the last and some between."""
    last = len(spans) - 1
    return sorted({round(last * step / (_ROWS - 1)) for step in range(_ROWS)})
