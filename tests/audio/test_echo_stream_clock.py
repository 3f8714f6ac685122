"""Clocks by jittery times, and played audio read by them; no device, no canceller."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.audio.devices import SAMPLE_RATE
from runner.audio.echo import LEAD_SECONDS, PlaybackReference, StreamClock
from runner.audio.pcm import Samples

BLOCK = SAMPLE_RATE // 100


def noted(clock: StreamClock, times: np.ndarray) -> np.ndarray:
    """Note blocks of 10 ms at these times; return what the clock makes of each."""
    smoothed = []
    for number, at in enumerate(times):
        clock.note(number * BLOCK, at)
        smoothed.append(clock.time_of(number * BLOCK))
    return np.array(smoothed)


def true_times(seconds: float, parts_in_a_million: float = 0.0) -> np.ndarray:
    return np.arange(round(seconds * 100)) * 0.01 * (1 + parts_in_a_million / 1e6)


def jitter(count: int, width: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-width, width, count)


def wander(times: np.ndarray, width: float) -> np.ndarray:
    """How PulseAudio's times are off: by milliseconds, within seconds."""
    return width * (np.sin(times * 0.9) + np.sin(times * 0.37 + 2)) / 2


def test_a_clock_that_was_given_nothing_knows_nothing() -> None:
    assert not StreamClock(48_000).is_known


@given(st.floats(-10, 1e6), st.sampled_from([8_000, 44_100, 192_000]))
def test_the_first_time_is_believed(at: float, rate: int) -> None:
    clock = StreamClock(rate)

    clock.note(0, at)

    assert clock.is_known
    assert clock.time_of(rate) == pytest.approx(at + 1)
    assert clock.position_at(at + 1) == pytest.approx(rate, abs=1)


@pytest.mark.parametrize("width", [0.001, 0.005, 0.01])
def test_jitter_is_averaged_away(width: float) -> None:
    times = true_times(20)

    smoothed = noted(StreamClock(SAMPLE_RATE), times + jitter(len(times), width))

    error = smoothed - times
    assert np.abs(error[100:]).max() < width / 3
    # A canceller does not tolerate movement: here, within a second.
    assert np.abs(error[200:] - error[100:-100]).max() < 0.0003


@pytest.mark.parametrize("width", [0.009, 0.018])
def test_times_that_wander_for_seconds_do_not_move_the_clock(width: float) -> None:
    times = true_times(60)

    smoothed = noted(StreamClock(SAMPLE_RATE), times + wander(times, width))

    error = smoothed - times
    assert np.abs(error).max() < 1.1 * width
    assert np.abs(error[200:] - error[100:-100]).max() < 0.001


@pytest.mark.parametrize("drift", [-200.0, 400.0])
def test_a_drift_is_learned_and_never_leads_far_astray(drift: float) -> None:
    times = true_times(30 * 60, drift)
    clock = StreamClock(SAMPLE_RATE)

    smoothed = noted(clock, times + jitter(len(times), 0.003))

    assert np.abs(smoothed - times).max() < LEAD_SECONDS
    assert np.abs((smoothed - times)[-60_000:]).max() < 0.001
    assert clock.drift * 1e6 == pytest.approx(drift, abs=30)


@pytest.mark.parametrize("size", [0.01, -0.02, 0.2, 3600.0])
@pytest.mark.parametrize("width", [0.0, 0.002, 0.008])
def test_a_stream_that_steps_is_followed_within_a_fifth_of_a_second(
    size: float, width: float
) -> None:
    times = true_times(12)
    times[500:] += size

    smoothed = noted(StreamClock(SAMPLE_RATE), times + jitter(len(times), width))

    assert np.abs((smoothed - times)[520:]).max() < 0.6 * width + 0.001


def test_a_step_is_distinguished_from_wandering_times() -> None:
    times = true_times(12)
    said = times + wander(times, 0.01)
    said[500:] += 0.02

    smoothed = noted(StreamClock(SAMPLE_RATE), said)

    error = smoothed - times
    assert np.abs(error[520:] - error[499]).max() == pytest.approx(0.02, abs=0.006)


@pytest.mark.parametrize("often", [2, 5, 50])
def test_single_times_that_are_far_off_change_nothing(often: int) -> None:
    times = true_times(10)
    said = times.copy()
    said[100::often][::2] += 0.3  # never two in a row

    smoothed = noted(StreamClock(SAMPLE_RATE), said)

    assert np.abs(smoothed - times).max() < 0.0005


def test_blocks_that_come_in_bursts_with_one_time_are_evened_out() -> None:
    times = true_times(20)
    said = times[np.arange(len(times)) // 10 * 10]  # ten blocks, the time of the first

    smoothed = noted(StreamClock(SAMPLE_RATE), said)

    error = smoothed - times
    assert np.ptp(error[200:]) < 0.005


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 4800), st.floats(-1e9, 1e9)), min_size=1, max_size=60
    )
)
def test_whatever_is_said_the_clock_goes_forward(
    blocks: list[tuple[int, float]],
) -> None:
    clock, position = StreamClock(48_000), 0

    for size, at in blocks:
        clock.note(position, at)
        position += size

        assert np.isfinite(clock.time_of(position))
        assert clock.time_of(position + 480) > clock.time_of(position)
        assert clock.drift == pytest.approx(0, abs=0.0021)


def played(
    sound: Samples, *, drift: float = 0.0, at: float = 0.0, until: int | None = None
) -> PlaybackReference:
    """Have audio played from this time on, in blocks of 10 ms, all of it at once."""
    played = PlaybackReference()
    for start in range(0, until or len(sound), BLOCK):
        played.note(start, at + start / SAMPLE_RATE * (1 + drift / 1e6))
        played.append(sound[start : start + BLOCK])
    return played


def tone(seconds: float, hertz: float = 440.0) -> Samples:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.asarray(0.5 * np.sin(2 * np.pi * hertz * times), np.float32)


def test_before_anything_was_played_there_is_silence() -> None:
    assert not PlaybackReference().read(BLOCK, 5.0).any()


@given(at=st.floats(0.0, 1.5), count=st.integers(1, 2000))
@settings(max_examples=40)
def test_what_is_read_was_played_at_that_time_and_so_much_later(
    at: float, count: int
) -> None:
    sound = tone(2.0)

    piece = played(sound, at=100.0).read(count, 100.0 + at)

    begin = (at + LEAD_SECONDS) * SAMPLE_RATE
    places = begin + np.arange(count)
    known = places < len(sound) - 2
    expected = np.interp(places, np.arange(len(sound)), sound, right=0.0)
    assert len(piece) == count
    # The newest part is not known yet: see the next test.
    if known.all():
        assert np.abs(piece - expected).max() < 1e-3


def test_before_the_beginning_and_long_after_the_end_there_is_silence() -> None:
    sound = played(tone(1.0), at=100.0)

    assert not sound.read(BLOCK, 99.0).any()
    assert not sound.read(BLOCK, 105.0).any()


def test_what_was_played_more_than_two_seconds_ago_is_forgotten() -> None:
    sound = played(tone(10.0), at=0.0)

    assert not sound.read(BLOCK, 1.0).any()
    assert sound.read(BLOCK, 9.0).any()


@pytest.mark.parametrize("drift", [-400.0, -200.0, 200.0, 400.0])
def test_reading_at_another_pace_has_no_seam(drift: float) -> None:
    """The audio is a tone: its second difference shows each seam, however small."""
    hertz, sound, playing = 300.0, tone(40.0, 300.0), PlaybackReference()
    pieces = []
    for number in range(40 * 100 - 5):
        playing.note(number * BLOCK, number * 0.01 * (1 + drift / 1e6))
        playing.append(sound[number * BLOCK : (number + 1) * BLOCK])
        if number >= 10:
            pieces.append(playing.read(BLOCK, (number - 10) * 0.01))

    heard = np.concatenate(pieces)[SAMPLE_RATE:]
    bend = np.abs(np.diff(heard, 2)).max()
    natural = 0.5 * (2 * np.pi * hertz / SAMPLE_RATE) ** 2
    assert bend < 3 * natural  # a straight line between samples bends at them only
    assert np.abs(np.diff(heard)).max() < 1.1 * 0.5 * 2 * np.pi * hertz / SAMPLE_RATE


def test_after_a_stream_stood_still_reading_leaps_to_where_it_is() -> None:
    sound, playing = tone(4.0, 100.0), PlaybackReference()
    for number in range(400):
        late = 0.5 if number >= 200 else 0.0
        playing.note(number * BLOCK, number * 0.01 + late)
        playing.append(sound[number * BLOCK : (number + 1) * BLOCK])
        if number > 10:
            piece = playing.read(BLOCK, (number - 10) * 0.01 + late)

    begin = round((389 * 0.01 + LEAD_SECONDS) * SAMPLE_RATE)
    assert np.abs(piece - sound[begin : begin + BLOCK]).max() < 0.02
