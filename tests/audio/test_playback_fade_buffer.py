import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.audio.playback import FadeBuffer

FADE = 120
LEVEL = 12_000
# What a slope of one in FADE makes of this level, and rounding.
SLOPE = LEVEL / FADE + 1


def level(frames: int, channels: int = 1) -> bytes:
    return np.full(frames * channels, LEVEL, "<i2").tobytes()


def values(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(int)


def largest_step(pcm: bytes) -> int:
    return int(np.abs(np.diff(values(pcm), append=0)).max(initial=0))


def test_audio_that_goes_on_is_left_as_it_is() -> None:
    queue = FadeBuffer(1, FADE)
    queue.append(level(1_000))
    assert queue.take(2 * 500) == level(500)


def test_audio_that_runs_out_ends_in_silence() -> None:
    queue = FadeBuffer(1, FADE)
    queue.append(level(1_000))
    taken = queue.take(2_000)
    assert values(taken)[[0, -FADE - 1, -1]].tolist() == [LEVEL, LEVEL, 0]
    assert largest_step(taken) <= SLOPE


def test_what_is_known_to_be_the_last_ends_as_it_is() -> None:
    queue = FadeBuffer(1, FADE)
    queue.append(level(1_000), is_last=True)
    assert queue.take(2_000) == level(1_000)


def test_without_a_fade_everything_is_taken_as_it_came() -> None:
    queue = FadeBuffer(1, 0)
    queue.append(level(100))
    queue.begin(is_resumed=True)
    assert queue.take(1_000) == level(100)


def test_a_cut_keeps_a_fade_and_says_what_is_gone() -> None:
    queue = FadeBuffer(2, FADE)
    queue.append(level(1_000, channels=2))
    assert queue.cut(360) == 640
    left, right = values(queue.take(9_999)).reshape(-1, 2).T
    assert (len(left), left[0], left[-1]) == (360, LEVEL, 0)
    assert np.array_equal(left, right)


def test_what_waits_is_taken_elsewhere_as_it_was_appended() -> None:
    queue = FadeBuffer(1, FADE)
    queue.append(level(100))
    assert queue.empty() == level(100)
    assert len(queue) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["append", "append", "take", "take", "cut", "dry"]),
            st.integers(1, 400),
        ),
        max_size=40,
    )
)
@example([("dry", 1), ("append", 4), ("take", 2), ("cut", 1)])
@settings(deadline=None)  # machines stall
def test_however_it_comes_and_goes_it_has_no_step(
    steps: list[tuple[str, int]],
) -> None:
    """Audio of one level is appended, taken and cut; what comes after a cut is new."""
    queue, heard, is_dry = FadeBuffer(1, FADE), level(1), False
    queue.append(level(2 * FADE))
    for step, frames in steps:
        match step:
            case "append":
                if is_dry and not len(queue):
                    queue.begin(is_resumed=True)
                    is_dry = False
                if not queue.is_cut:
                    queue.append(level(frames))
            case "take":
                piece = queue.take(2 * frames)
                heard += piece
                if len(piece) < 2 * frames:
                    heard += bytes(2)
                    is_dry = True
            case "cut":
                queue.cut(frames + FADE)
            case _:
                heard += queue.take(len(queue)) + bytes(2)
                is_dry = True
                if queue.is_cut:
                    queue = FadeBuffer(1, FADE)
                    queue.begin(is_resumed=True)
    assert largest_step(heard + queue.take(len(queue))) <= 2 * SLOPE
