"""The speaker on a simulated line and a simulated device, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runner.audio.devices import SAMPLE_RATE
from runner.audio.portaudio.library import SoundDevice
from runner.audio.portaudio.speaker import CardSpeaker

PIECE = 240  # samples of 10 ms
LEVEL = 9_000
HERTZ = 440
BLOCK = 0.01  # seconds between two blocks of the device


class Card:
    is_open = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def raise_if_lost(self) -> None: ...


class Desk:
    """A line that brings a tone, and a device that plays it by a clock of its own."""

    def __init__(self, rate: int = 48_000, parts: float = 0.0) -> None:
        """The device's clock is so many parts in a million slow."""
        self.rate = rate
        self.levels: list[float] = []
        self.ends = 0  # times that what the resampler holds was fetched
        self._now = 0.0
        self._position = 0
        self._block = BLOCK * (1 + parts * 1e-6)
        self._is_low = False
        self.speaker = CardSpeaker(Card(), self._on_low, clock=lambda: self._now)
        device = SoundDevice(0, "Out", "output", "Core Audio", rate, 1)
        self.speaker.attach(device, 0.0)

    def _on_low(self) -> None:
        self._is_low = True

    def run(
        self,
        arrivals: Sequence[float] | NDArray[np.float64],
        seconds: float,
        piece: int = PIECE,
        cut: float | None = None,
    ) -> np.ndarray:
        """Let pieces arrive at these times, and cut; return what is played."""
        played: list[bytes] = []
        due = list(arrivals)[::-1]
        for number in range(round(seconds / self._block)):
            at = number * self._block
            while due and due[-1] <= at:
                self._now = due.pop()
                self.speaker.play(self._tone(piece))
            self._now = at
            if cut is not None and at >= cut:
                self.speaker.stop()
                due, cut = [], None
            self.levels.append(self.speaker.pending_ms)
            played.append(self.speaker.render(2 * (self.rate // 100), at))
            if self._is_low:
                self._is_low = False
                before = self.speaker.pending_ms
                self.speaker.wake()
                self.ends += self.speaker.pending_ms > before
        return np.frombuffer(b"".join(played), "<i2").astype(int)

    def _tone(self, count: int) -> bytes:
        times = (self._position + np.arange(count)) / SAMPLE_RATE
        self._position += count
        tone = LEVEL * np.sin(2 * np.pi * HERTZ * times)
        return bytes(np.rint(tone).astype("<i2").tobytes())

    @property
    def steepest(self) -> float:
        """Of the tone, a quarter more where the filter swings, and of a fade."""
        slope = LEVEL * 2 * np.pi * HERTZ / self.rate
        return 1.25 * slope + LEVEL / (0.005 * self.rate)

    @property
    def underruns(self) -> int:
        return self.speaker.counts.underruns


def paced(seconds: float, piece: int = PIECE) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE / piece)) * piece / SAMPLE_RATE


def late(times: np.ndarray, most: float, seed: int = 0) -> np.ndarray:
    """Let each be late by up to `most` seconds; none overtakes another."""
    lateness = np.random.default_rng(seed).uniform(0.0, most, len(times))
    return np.maximum.accumulate(times + lateness)


def largest_step(played: np.ndarray) -> int:
    return int(np.abs(np.diff(played)).max())


def sounding_ms(played: np.ndarray, rate: int) -> float:
    """How long it lasts from the first to the last that is loud."""
    loud = np.flatnonzero(np.abs(played) > LEVEL / 2)
    return float(loud[-1] - loud[0]) * 1000 / rate


@pytest.mark.parametrize(
    "arrivals",
    [
        pytest.param(paced(4.0), id="paced"),
        pytest.param(late(paced(4.0), 0.04), id="late"),
        pytest.param(np.floor(paced(4.0) / 0.2) * 0.2, id="in bursts of 200 ms"),
        pytest.param(paced(4.0) / 5, id="five times as fast"),
        pytest.param(paced(4.0) * 0, id="all at once"),
    ],
)
def test_where_the_data_is_it_has_no_gap(arrivals: NDArray[np.float64]) -> None:
    desk = Desk()
    played = desk.run(arrivals, 5.0)
    assert desk.underruns == 0
    assert sounding_ms(played, desk.rate) == pytest.approx(4_000, abs=15)
    assert largest_step(played) < desk.steepest


def test_a_line_that_was_uneven_is_given_a_larger_cushion_in_the_next_reply() -> None:
    desk = Desk()
    times = late(paced(6.0), 0.08, seed=3)
    desk.run(times, 7.0)
    before = desk.underruns
    following = late(paced(6.0), 0.08, seed=4)
    played = desk.run(following, 7.0)
    first = np.flatnonzero(played)[0] / desk.rate * 1000
    assert first > 80
    assert before <= 1
    assert desk.underruns == before


def test_a_stall_is_one_gap_without_a_step() -> None:
    desk = Desk()
    times = paced(4.0)
    played = desk.run(np.where(times > 2.0, times + 0.2, times), 5.0)
    assert desk.underruns == 1
    assert desk.ends == 2  # of what came before the gap, and of the reply
    assert largest_step(played) < desk.steepest


@given(
    st.sampled_from([16_000, 24_000, 44_100, 48_000]),
    st.sampled_from([24, 100, 240, 480, 1_200, 4_800]),
    st.floats(0.0, 0.25),
    st.floats(-300.0, 300.0),
    st.one_of(st.none(), st.floats(0.0, 1.4)),
    st.integers(0, 1_000),
)
@settings(deadline=None, max_examples=25)  # machines stall
def test_whatever_the_line_the_device_and_the_cut_it_has_no_step(
    rate: int,
    piece: int,
    most_late: float,
    parts: float,
    cut: float | None,
    seed: int,
) -> None:
    desk = Desk(rate, parts)
    times = late(paced(1.2, piece), most_late, seed)
    played = desk.run(times, 1.7, piece, cut)
    assert largest_step(played) < desk.steepest
    if cut is not None:
        # Two blocks: the one that was due, and the end of the fade.
        assert not played[round((cut + 0.03) * rate) :].any()


@given(st.floats(0.0, 1.0))
@settings(deadline=None, max_examples=25)  # machines stall
def test_what_was_heard_and_what_was_discarded_make_the_whole(cut: float) -> None:
    desk = Desk()
    desk.run(paced(2.0) / 2, cut + 0.005)
    desk.speaker.play(desk._tone(24_000))
    handed = desk._position / 24
    dropped = desk.speaker.stop()
    desk.run([], 0.1)
    heard = desk.speaker.counts.played_frames * 1000 / desk.rate
    # 10 ms of what is heard first are the resampler's silence.
    assert heard + dropped == pytest.approx(handed + min(heard, 10), abs=0.1)


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000])
def test_a_reply_that_was_not_heard_at_all_is_discarded_whole(rate: int) -> None:
    desk = Desk(rate)
    desk.run(paced(0.5) / 5, 1.0)
    before = desk.speaker.counts.played_frames
    desk.run([0.0], 0.02, piece=1_200)
    assert desk.speaker.stop() == 50
    assert desk.speaker.counts.played_frames == before
    assert desk.speaker.stop() == 0


@pytest.mark.parametrize("parts", [200, -200])
def test_a_clock_that_is_off_makes_no_gap_no_delay_and_no_step(parts: int) -> None:
    desk = Desk(parts=parts)
    played = desk.run(late(paced(60.0), 0.02), 59.0)
    levels = np.array(desk.levels)
    assert desk.underruns == 0
    assert desk.ends == 0
    assert levels.max() < 100
    # Unsteered, a minute makes 12 ms; half of it is caught up with by then.
    assert abs(levels[-500:].mean() - levels[500:1_000].mean()) < 30
    assert largest_step(played) < desk.steepest
