"""A stream that has stopped is distinguished from one that starts slowly."""

from runner.audio.portaudio.soundcard import (
    FIRST_SECONDS,
    STALL_SECONDS,
    StallDetector,
    has_begun,
)


def asked(heart: StallDetector, blocks: int, begin: float, seconds: float) -> bool:
    """Ask every tenth of a second while no block comes; the last answer counts."""
    answer = False
    for step in range(1, round(seconds * 10) + 1):
        answer = heart.has_stalled(blocks, begin + step / 10)
    return answer


def test_a_stream_that_stops_is_found_after_a_second() -> None:
    heart = StallDetector("input", 0.0)
    heart.has_stalled(50, 0.1)
    assert not asked(heart, 50, 0.1, STALL_SECONDS - 0.2)
    assert asked(heart, 50, STALL_SECONDS - 0.1, 0.3)


def test_the_first_block_may_take_longer() -> None:
    heart = StallDetector("input", 0.0)
    assert not asked(heart, 0, 0.0, FIRST_SECONDS - 0.2)
    assert asked(heart, 0, FIRST_SECONDS - 0.2, 0.4)


def test_a_speakers_first_blocks_only_fill_its_buffer() -> None:
    assert not has_begun("output", 5)
    assert has_begun("output", 20)
    assert has_begun("input", 1)


def test_a_machine_that_slept_proves_nothing() -> None:
    heart = StallDetector("input", 0.0)
    heart.has_stalled(50, 0.1)
    assert not heart.has_stalled(50, 3_600.0)
    assert asked(heart, 50, 3_600.0, STALL_SECONDS + 0.2)
