"""How long audio takes through the client: microphone to socket, socket to loudspeaker.

Clicks are followed through the room, PortAudio, the client and a local socket. What
PortAudio, ALSA and the sound server hold belongs to the device and is listed apart.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.desk.service import CLICK_AT, click
from benchmarks.desk.session import Held, Passed, hold_call, onsets
from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import to_pcm
from tests.device.acoustics import RATE, Acoustics
from tests.device.room import Room, entered, open_room

_FIRST = 3.0  # seconds until the first click: the call has begun


def main(arguments: list[str]) -> None:
    options = argparse.ArgumentParser("benchmarks.desk path", description=__doc__)
    options.add_argument("--seconds", type=float, default=150)
    chosen = options.parse_args(arguments)
    # No echo: the clicks of one direction would be heard in the other.
    with open_room(Acoustics(level=None)) as room, entered(room):
        clicking = threading.Thread(target=_click, args=(room, chosen.seconds))
        clicking.start()
        before = room.faults
        held = hold_call("clicks", chosen.seconds)
        clicking.join()
        faults = room.check()
        rows = _uplink(held, room), _downlink(held, room)
    for name, device, software in (
        ("microphone -> socket", *rows[0]),
        ("socket -> loudspeaker", *rows[1]),
    ):
        print(f"{name}: {len(software)} clicks, ms")
        print("                      p50     p99   longest")
        _print("through the client", software)
        _print("device's own", device)
    lost = faults.missing + faults.refused - before.missing - before.refused
    print(f"  machine's faults: {lost} samples")


def _print(name: str, values: Sequence[float]) -> None:
    ordered = sorted(values)
    p99 = ordered[int(0.99 * (len(ordered) - 1))]
    print(
        f"  {name:<18}{1000 * statistics.median(ordered):7.1f}{1000 * p99:8.1f}"
        f"{1000 * ordered[-1]:10.1f}"
    )


def _click(room: Room, seconds: float) -> None:
    """Let the microphone hear a click now and then, at any place of a block."""
    lot, pcm = random.Random(2), to_pcm(click(RATE))
    due = time.monotonic() + _FIRST
    end = time.monotonic() + seconds - 2
    while due < end:
        time.sleep(max(0.0, due - 0.1 - time.monotonic()))
        room.speak(pcm, at=due)
        due += 0.4 + 0.2 * lot.random()


def _uplink(held: Held, room: Room) -> tuple[list[float], list[float]]:
    """Return, for each click, seconds up to PortAudio's block and from it to the far
    end, which has it when its socket has."""
    log = room.heard(held.began, held.ended)
    entered_at = [log.time_of(int(index)) for index in onsets(log.samples, RATE)]
    passed = [held.recorded.time_of(int(i)) for i in _found(held.recorded)]
    ends = np.cumsum(held.far["sizes"])
    far = onsets(held.far["heard"], SAMPLE_RATE)
    arrived = [
        float(held.far["heard_at"][int(np.searchsorted(ends, index, side="right"))])
        for index in far
    ]
    return _differences(entered_at, passed), _differences(passed, arrived)


def _downlink(held: Held, room: Room) -> tuple[list[float], list[float]]:
    """Return, for each reply, seconds from PortAudio's block to the loudspeaker, and
    from the service's send to that block."""
    log = room.played(held.began, held.ended - 0.05)
    left_at = [log.time_of(int(index)) for index in onsets(log.samples, RATE)]
    indices = _found(held.played)
    # A click is as far into a block as it is; the block's first sample went first.
    samples_before = [_place_in_block(held.played, int(i)) / RATE for i in indices]
    passed = [
        held.played.time_of(int(i)) + before
        for i, before in zip(indices, samples_before, strict=True)
    ]
    due = [float(sent) + CLICK_AT for sent in held.far["sent_at"]]
    return _differences(passed, left_at), _differences(due, passed)


def _found(passed: Passed) -> Sequence[int]:
    return [int(index) for index in onsets(passed.audio()[0], RATE)]


def _place_in_block(passed: Passed, index: int) -> int:
    ends = passed.audio()[1]
    block = int(np.searchsorted(ends, index, side="right"))
    return index - (int(ends[block - 1]) if block else 0)


def _differences(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """Return how long after each moment of the one the next of the other was."""
    found: list[float] = []
    times = np.array(after)
    for moment in before:
        index = int(np.searchsorted(times, moment))
        if index < len(times) and times[index] - moment < 0.39:
            found.append(float(times[index]) - moment)
    return found
