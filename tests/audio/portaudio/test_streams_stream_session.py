"""The times of blocks, also where PortAudio does not report them."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from runner.audio.portaudio.library import PortAudio, SoundDevice
from runner.audio.portaudio.streams import StreamSession
from tests.audio.fakes import FakePortAudio, device

SIDES = [
    SoundDevice(0, "Mic", "input", "MME", 48_000, 1),
    SoundDevice(1, "Out", "output", "MME", 48_000, 1),
]


class Times:
    """Both ends of an opening; notes the times that blocks come with."""

    def __init__(self) -> None:
        self.recorded: list[float] = []
        self.played: list[float] = []

    def capture(self, pcm: bytes, at: float) -> bool:
        self.recorded.append(at)
        return False

    def render(self, size: int, at: float) -> bytes:
        self.played.append(at)
        return bytes(size)


def times_of(now: float, recorded: float, played: float) -> tuple[float, float]:
    """Have a block of 10 ms go both ways with what PortAudio reports of its times."""
    library: PortAudio = FakePortAudio(
        device("Mic", inputs=1), device("Out", outputs=1)
    )
    times = Times()
    streams = StreamSession(times, times, wake=lambda: None)
    streams.open(library, SIDES)
    streams.start_audio("input")
    streams.start_audio("output")
    told = SimpleNamespace(
        currentTime=now, inputBufferAdcTime=recorded, outputBufferDacTime=played
    )
    (stream,) = library.streams  # type: ignore[attr-defined]  # of the fake
    stream.settings["callback"](bytes(960), memoryview(bytearray(960)), 480, told, None)
    streams.close()
    return times.recorded[0], times.played[0]


def test_times_that_are_reported_are_taken() -> None:
    assert times_of(100.0, 99.9, 100.2) == (99.9, 100.2)


@pytest.mark.parametrize("untold", [0.0, -0.003])
def test_what_was_recorded_at_no_time_began_a_block_ago(untold: float) -> None:
    assert times_of(100.0, untold, 100.2) == pytest.approx((99.99, 100.2))


def test_where_no_time_is_reported_at_all_both_sides_have_the_same_clock() -> None:
    before = time.perf_counter()

    recorded, played = times_of(0.0, 0.0, 0.0)

    assert before - 0.01 <= recorded
    assert recorded < played + 0.01
    assert played <= time.perf_counter()
