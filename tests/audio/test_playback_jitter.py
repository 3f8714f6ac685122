import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.audio.playback import (
    MARGIN_MS,
    MAX_CUSHION_MS,
    MIN_CUSHION_MS,
    PAUSE_MS,
    ClockDriftController,
    JitterEstimator,
)

PIECE = 0.01


def after(lateness_ms: list[float]) -> JitterEstimator:
    """Let a run of pieces arrive, each so much later than it is due."""
    lateness = JitterEstimator()
    lateness.begin(5.0)
    for number, late_ms in enumerate(lateness_ms):
        lateness.note(5.0 + number * PIECE + late_ms / 1000, PIECE)
    return lateness


def test_nothing_is_known_of_a_line_at_first() -> None:
    assert JitterEstimator().cushion_ms == 60
    unbegun = JitterEstimator()
    unbegun.note(7.0, PIECE)
    assert unbegun.cushion_ms == 60


def test_a_calm_line_comes_to_need_the_least() -> None:
    assert after([0.0] * 12_000).cushion_ms == MIN_CUSHION_MS


def test_a_late_piece_is_covered_from_then_on() -> None:
    assert after([0.0, 55.0, 0.0]).cushion_ms == pytest.approx(55 + MARGIN_MS, abs=0.1)


def test_what_no_cushion_bridges_is_forgotten_as_fast_as_the_largest() -> None:
    one, other = after([0.0, PAUSE_MS - 1]), after([0.0, MAX_CUSHION_MS - MARGIN_MS])
    assert one.cushion_ms == MAX_CUSHION_MS
    for lateness in (one, other):
        lateness.begin(50.0)
        for number in range(3_000):
            lateness.note(50.0 + number * PIECE, PIECE)
    assert one.cushion_ms == pytest.approx(other.cushion_ms)
    assert one.cushion_ms < 70


def test_the_next_reply_is_not_late() -> None:
    assert after([0.0, PAUSE_MS + 1]).cushion_ms == pytest.approx(60, abs=0.1)


def test_audio_that_comes_faster_than_it_is_spoken_is_not_late() -> None:
    ahead = [-9.0 * number for number in range(12_000)]
    assert after(ahead).cushion_ms == MIN_CUSHION_MS


@given(st.lists(st.floats(-1e4, 1e4), max_size=200))
def test_the_cushion_keeps_to_its_bounds(lateness_ms: list[float]) -> None:
    assert MIN_CUSHION_MS <= after(lateness_ms).cushion_ms <= MAX_CUSHION_MS


@given(st.lists(st.floats(0.0, MAX_CUSHION_MS - MARGIN_MS), min_size=1, max_size=200))
def test_what_was_late_lately_would_not_be_with_the_cushion(
    lateness_ms: list[float],
) -> None:
    assert after(lateness_ms).cushion_ms > max(lateness_ms)


class Played:
    """A buffer in numbers: a service's audio goes in, a device of another clock."""

    def __init__(self, level_ms: float, device_faster: float) -> None:
        self.level_ms = level_ms
        self.levels: list[float] = []
        self.steering = ClockDriftController()
        self._device = 1 + device_faster
        self._at = 0.0

    def run(self, seconds: int) -> None:
        """Let a piece of 100 ms come every 100 ms."""
        for _ in range(seconds * 10):
            self._at += 0.1
            self.steering.note(self._at, self.level_ms)
            self.level_ms += 100 / (1 + self.steering.faster) - 100 * self._device
            self.levels.append(self.level_ms)


@pytest.mark.parametrize("parts", [200, -200, 450, -450])
def test_a_clock_that_is_off_moves_the_level_for_half_an_hour_only_so_far(
    parts: int,
) -> None:
    played = Played(60.0, parts * 1e-6)
    played.run(1800)
    # Steered in proportion: 20 parts in a million for each millisecond that it is off.
    assert played.level_ms == pytest.approx(MARGIN_MS - parts / 20, abs=0.5)
    assert min(played.levels) > 0
    assert max(played.levels) < 61


def test_the_pace_is_never_changed_so_that_it_is_heard() -> None:
    for level_ms in (0.0, 250.0):
        played = Played(level_ms, 0.0)
        played.run(2)
        assert abs(played.steering.faster) == 0.0005


def test_a_backlog_is_meant_and_left_alone() -> None:
    played = Played(5_000.0, 0.0)
    played.run(60)
    assert (played.steering.faster, played.level_ms) == (0.0, 5_000.0)


def test_a_level_that_is_right_is_left_alone() -> None:
    played = Played(MARGIN_MS + 4, 0.0)
    played.run(60)
    assert played.steering.faster == 0.0


def test_a_new_run_is_judged_by_its_own_levels() -> None:
    steering = ClockDriftController()
    steering.note(0.0, 0.0)
    steering.begin()
    steering.note(9.0, MARGIN_MS)
    steering.note(10.0, MARGIN_MS)
    assert steering.faster == 0.0
