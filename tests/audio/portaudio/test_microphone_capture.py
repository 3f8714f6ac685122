from hypothesis import given, settings
from hypothesis import strategies as st

from runner.audio.portaudio.microphone import Block, CaptureQueue

BLOCK = Block(bytes(48_000 * 2 // 100), 0.0)  # 10 ms at 48 kHz mono


def test_blocks_come_out_in_order() -> None:
    queue = CaptureQueue(48_000, 1)
    queue.put(Block(b"aa", 0.0))
    queue.put(Block(b"bb", 0.1))
    assert [queue.take(), queue.take(), queue.take()] == [
        Block(b"aa", 0.0),
        Block(b"bb", 0.1),
        None,
    ]


def test_only_the_first_block_needs_to_wake_the_reader() -> None:
    queue = CaptureQueue(48_000, 1)
    assert [queue.put(BLOCK), queue.put(BLOCK)] == [True, False]
    queue.take()
    queue.take()
    assert queue.put(BLOCK) is True


def test_audio_that_is_not_read_for_300_ms_is_dropped_oldest_first() -> None:
    queue = CaptureQueue(48_000, 1)
    for number in range(50):
        queue.put(Block(bytes([number]) * len(BLOCK.pcm), 0.0))
    assert queue.dropped_ms == 200
    assert queue.take() == Block(bytes([20]) * len(BLOCK.pcm), 0.0)


def test_one_block_is_kept_however_long_it_is() -> None:
    queue = CaptureQueue(8_000, 2, limit_ms=1)
    assert queue.put(BLOCK) is True
    assert queue.put(BLOCK) is True
    assert (queue.take(), queue.take()) == (BLOCK, None)


@given(st.lists(st.integers(1, 2_000), max_size=60))
@settings(deadline=None)  # machines stall
def test_nothing_is_lost_uncounted(sizes: list[int]) -> None:
    queue = CaptureQueue(24_000, 1, limit_ms=50)
    for size in sizes:
        queue.put(Block(bytes(2 * size), 0.0))
    kept = 0
    while (block := queue.take()) is not None:
        kept += len(block.pcm)
    assert kept <= max(2_400, 2 * max(sizes, default=0))
    assert round(kept / 48 + queue.dropped_ms, 6) == round(sum(sizes) / 24, 6)
