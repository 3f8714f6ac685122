from hypothesis import given
from hypothesis import strategies as st

from runner.engine.engine import PlaybackTracker
from runner.protocol.client.events import PlaybackCut


def pcm(milliseconds: float) -> bytes:
    return bytes(2 * round(milliseconds * 24))


def test_of_a_reply_that_was_cut_so_much_was_heard() -> None:
    tracker = PlaybackTracker()
    tracker.play("r1", pcm(700))
    tracker.play("r1", pcm(300))
    assert tracker.cut(600.0) == [PlaybackCut("r1", 400.0, 600.0)]


def test_a_reply_that_was_heard_to_its_end_was_not_cut() -> None:
    tracker = PlaybackTracker()
    tracker.play("r1", pcm(700))
    assert tracker.cut(0.0) == []


def test_what_was_to_be_heard_last_went_first() -> None:
    tracker = PlaybackTracker()
    tracker.play("r1", pcm(500))
    tracker.play("r2", pcm(200))
    assert tracker.cut(350.0) == [
        PlaybackCut("r1", 350.0, 150.0),
        PlaybackCut("r2", 0.0, 200.0),
    ]


def test_what_was_cut_is_not_cut_again() -> None:
    tracker = PlaybackTracker()
    tracker.play("r1", pcm(500))
    tracker.cut(100.0)
    assert tracker.cut(15.0) == []


def test_an_earlier_reply_is_not_cut_by_a_later_one() -> None:
    tracker = PlaybackTracker()
    tracker.play("r1", pcm(500))
    tracker.play("r2", pcm(200))
    assert tracker.cut(120.0) == [PlaybackCut("r2", 80.0, 120.0)]


@given(
    st.lists(st.integers(1, 5_000), min_size=1, max_size=8),
    st.floats(0.0, 1.0),
)
def test_heard_and_discarded_make_what_was_handed_over(
    lengths: list[int], share: float
) -> None:
    tracker = PlaybackTracker()
    for number, length in enumerate(lengths):
        tracker.play(f"r{number}", pcm(length))
    dropped = share * sum(lengths)
    cuts = tracker.cut(dropped)
    assert abs(sum(cut.dropped_ms for cut in cuts) - dropped) < 0.01
    for cut in cuts:
        length = lengths[int(cut.reply_id[1:])]
        assert abs(cut.played_ms + cut.dropped_ms - length) < 0.01
