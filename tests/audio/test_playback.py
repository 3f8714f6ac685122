import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runner.audio.playback import (
    CUSHION_MS,
    FADE_MS,
    PlaybackBuffer,
    PlaybackLimits,
)

BARE = PlaybackLimits(cushion_ms=0.0)
MS = 48  # bytes of a millisecond at 24 kHz


def loud(milliseconds: float, level: int = 10_000) -> bytes:
    return np.full(round(milliseconds * 24), level, "<i2").tobytes()


def values(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(int)


def test_what_is_written_is_read_then_silence() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(10))
    assert buffer.pending_ms == 10
    assert buffer.read(15 * MS) == loud(10) + bytes(5 * MS)
    assert buffer.pending_ms == 0


def test_the_cushion_goes_ahead_of_a_reply_and_not_inside_it() -> None:
    buffer = PlaybackBuffer()
    buffer.write(loud(10))
    buffer.write(loud(10))
    assert buffer.pending_ms == CUSHION_MS + 20
    expected = bytes(int(CUSHION_MS) * MS) + loud(20)
    assert buffer.read(100 * MS) == expected.ljust(100 * MS, b"\0")


def test_audio_that_comes_in_time_joins_on_without_a_gap() -> None:
    buffer = PlaybackBuffer()
    buffer.write(loud(50))
    buffer.read(int(CUSHION_MS + 10) * MS)
    buffer.write(loud(10))
    assert buffer.read(50 * MS) == loud(50)


def test_a_tail_needs_no_cushion() -> None:
    buffer = PlaybackBuffer()
    buffer.write(loud(10), is_tail=True)
    assert buffer.read(10 * MS) == loud(10)


def test_clearing_leaves_a_short_fade_then_silence() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(1_000))
    before = buffer.read(20 * MS)
    buffer.clear()
    assert buffer.pending_ms == FADE_MS
    after = buffer.read(40 * MS)
    assert values(after[int(FADE_MS) * MS :]).any() == 0
    steps = np.abs(np.diff(values(before + after)))
    assert steps.max() <= 10_000 / (FADE_MS * 24 - 1) + 1
    assert 10 <= FADE_MS <= 20


def test_a_reply_that_has_not_begun_is_cleared_without_audio() -> None:
    buffer = PlaybackBuffer()
    buffer.write(loud(1_000))
    buffer.read(20 * MS)
    buffer.clear()
    assert buffer.pending_ms == 0
    assert values(buffer.read(100 * MS)).any() == 0


def test_clearing_twice_makes_no_step() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(1_000))
    heard = buffer.read(20 * MS)
    buffer.clear()
    heard += buffer.read(5 * MS)
    buffer.clear()
    heard += buffer.read(40 * MS)
    assert np.abs(np.diff(values(heard))).max() < 100


def test_channels_fade_together_and_count_as_one() -> None:
    buffer = PlaybackBuffer(channels=2, limits=BARE)
    frames = np.tile(np.array([8_000, -8_000], "<i2"), 24_000)
    buffer.write(frames.tobytes())
    assert buffer.pending_ms == 1_000
    buffer.clear()
    left, right = values(buffer.read(20 * 2 * MS)).reshape(-1, 2).T
    assert np.array_equal(left, -right)
    assert buffer.counts.played_frames == FADE_MS * 24
    assert buffer.counts.cleared_frames == 24_000 - FADE_MS * 24


def test_beyond_the_cap_the_newest_is_refused_and_counted() -> None:
    buffer = PlaybackBuffer(limits=PlaybackLimits(cap_ms=100, cushion_ms=0))
    buffer.write(loud(80, 1))
    buffer.write(loud(80, 2))
    buffer.write(loud(80, 3))
    assert buffer.counts.dropped_frames == (60 + 80) * 24
    assert buffer.read(200 * MS) == (loud(80, 1) + loud(20, 2)).ljust(200 * MS, b"\0")


def test_half_a_sample_does_not_shift_what_follows() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(10) + b"\x01")
    buffer.write(loud(10))
    assert buffer.read(20 * MS) == loud(20)


def test_a_gap_inside_a_reply_is_an_underrun() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(10))
    buffer.read(20 * MS)
    buffer.read(20 * MS)
    buffer.write(loud(10))
    assert buffer.counts.underruns == 1


def test_a_gap_that_begins_with_a_block_is_an_underrun_too() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(10))
    buffer.read(10 * MS)
    buffer.read(10 * MS)
    buffer.write(loud(10))
    assert buffer.counts.underruns == 1


def test_what_comes_just_in_time_without_a_cushion_is_not_an_underrun() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(10))
    buffer.read(10 * MS)
    buffer.write(loud(10))
    assert buffer.counts.underruns == 0


def test_the_end_of_a_fade_is_not_an_underrun() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(100))
    buffer.read(20 * MS)
    buffer.clear()
    buffer.read(50 * MS)
    buffer.write(loud(10))
    assert buffer.counts.underruns == 0


@pytest.mark.parametrize("block_ms", [1, 5, 10, 13])
def test_a_gap_is_entered_and_left_without_a_step(block_ms: int) -> None:
    soft = PlaybackLimits(gap_fade_ms=5.0)
    buffer = PlaybackBuffer(limits=soft)
    heard = b""
    for _ in range(3):
        buffer.write(loud(60))
        for _ in range(150 // block_ms + 1):
            heard += buffer.read(block_ms * MS)
    assert buffer.counts.underruns == 2
    began = np.flatnonzero(values(heard))[0]  # a reply may begin at once
    steps = np.abs(np.diff(values(heard)[began:]))
    assert steps.max() <= 10_000 / (5 * 24) + 1


def test_what_follows_an_end_that_still_plays_has_a_cushion_of_its_own() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(20, 1))
    buffer.write(loud(10, 2), is_tail=True)
    assert buffer.is_dry
    buffer.write(loud(10, 3), cushion_ms=40.0)
    assert not buffer.is_dry
    assert buffer.pending_ms == 80
    expected = loud(20, 1) + loud(10, 2) + bytes(40 * MS) + loud(10, 3)
    assert b"".join(buffer.read(7 * MS) for _ in range(12))[: 80 * MS] == expected
    assert buffer.counts.underruns == 1
    assert buffer.counts.played_frames == 40 * 24


def test_a_cut_in_that_end_keeps_nothing_of_what_follows() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(10), is_tail=True)
    buffer.write(loud(100), cushion_ms=40.0)
    assert buffer.clear() == 100
    assert values(buffer.read(100 * MS))[10 * 24 :].any() == 0


def test_a_pause_between_replies_is_none() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(10))
    buffer.read(20 * MS)
    buffer.read(1_000 * MS)
    buffer.write(loud(10))
    assert buffer.counts.underruns == 0


def test_a_gap_after_clearing_is_none() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    buffer.write(loud(10))
    buffer.read(20 * MS)
    buffer.clear()
    buffer.write(loud(10))
    assert buffer.counts.underruns == 0


def test_silence_and_cushion_do_not_count_as_played() -> None:
    buffer = PlaybackBuffer()
    buffer.read(100 * MS)
    buffer.write(loud(10))
    buffer.read(int(CUSHION_MS + 5) * MS)
    assert buffer.counts.played_frames == 5 * 24


def test_it_calls_when_little_is_left_and_when_nothing_is() -> None:
    calls: list[float] = []
    buffer = PlaybackBuffer(limits=BARE, on_low=lambda: calls.append(buffer.pending_ms))
    buffer.read(10 * MS)
    buffer.write(loud(100))
    for _ in range(12):
        buffer.read(10 * MS)
    assert calls == [20, 0]


@given(st.integers(1, 50), st.integers(1, 300))
@settings(deadline=None)  # machines stall
def test_it_always_calls_when_the_last_is_read(written: int, block: int) -> None:
    calls: list[bool] = []
    buffer = PlaybackBuffer(on_low=lambda: calls.append(buffer.pending_ms == 0))
    buffer.write(loud(written))
    while buffer.pending_ms:
        buffer.read(block * MS)
    assert calls[-1] is True


class Playing(RuleBasedStateMachine):
    """Audio is numbered, so that what was lost or repeated shows."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = PlaybackBuffer(limits=BARE)
        self.next = 1
        self.expected: list[int] = []
        self.pending_fade = 0

    @rule(count=st.integers(0, 600))
    def write(self, count: int) -> None:
        numbers = [(self.next + n) % 30_000 + 1 for n in range(count)]
        self.next += count
        self.buffer.write(np.array(numbers, "<i2").tobytes())
        self.expected += numbers

    @rule(count=st.integers(0, 900))
    def read(self, count: int) -> None:
        got = values(self.buffer.read(2 * count)).tolist()
        # A cleared buffer's fade comes first; what is left of it is not looked at.
        fade = min(count, self.pending_fade)
        self.pending_fade -= fade
        due, self.expected = (
            self.expected[: count - fade],
            self.expected[count - fade :],
        )
        assert got[fade:] == due + [0] * (count - fade - len(due))

    @rule()
    def clear(self) -> None:
        left = self.pending_fade + len(self.expected)
        self.buffer.clear()
        self.expected = []
        self.pending_fade = min(left, round(FADE_MS * 24))

    @invariant()
    def pending_is_what_was_written_and_not_read(self) -> None:
        left = self.pending_fade + len(self.expected)
        assert self.buffer.pending_ms == pytest.approx(left / 24)


TestPlaying = Playing.TestCase
TestPlaying.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)


def test_a_reader_in_another_thread_loses_and_repeats_nothing() -> None:
    buffer = PlaybackBuffer(limits=BARE)
    numbers = np.arange(1, 30_001, dtype="<i2")
    heard: list[int] = []

    def play() -> None:
        while len(heard) < len(numbers):
            block = values(buffer.read(2 * 37))
            heard.extend(block[block != 0].tolist())

    device = threading.Thread(target=play)
    device.start()
    for piece in np.array_split(numbers, 500):
        buffer.write(piece.tobytes())
    device.join()
    assert heard == numbers.tolist()
