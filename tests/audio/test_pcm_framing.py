import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.audio.pcm import ByteQueue, Framer

PIECES = st.lists(st.binary(max_size=30), max_size=20)


def test_frames_come_when_they_are_full() -> None:
    framer = Framer(4)
    assert framer.feed(b"abc") == []
    assert framer.feed(b"defghi") == [b"abcd", b"efgh"]
    assert framer.flush() == b"i\0\0\0"


def test_flush_fills_the_rest_with_silence() -> None:
    framer = Framer(4)
    framer.feed(b"abcdef")
    assert framer.flush() == b"ef\0\0"
    assert framer.flush() == b""


def test_flush_of_whole_frames_adds_nothing() -> None:
    framer = Framer(4)
    framer.feed(b"abcd")
    assert framer.flush() == b""


def test_a_frame_has_at_least_a_byte() -> None:
    with pytest.raises(ValueError, match="0 bytes"):
        Framer(0)


@given(PIECES, st.integers(1, 40))
@settings(deadline=None)  # machines stall
def test_framing_keeps_every_byte_in_order(pieces: list[bytes], size: int) -> None:
    framer = Framer(size)
    frames = [frame for piece in pieces for frame in framer.feed(piece)]
    stream = b"".join(pieces)
    framed = b"".join(frames) + framer.flush()
    assert all(len(frame) == size for frame in frames)
    assert len(frames) == len(stream) // size
    assert framed[: len(stream)] == stream
    assert framed[len(stream) :].strip(b"\0") == b""
    assert len(framed) % size == 0


@given(PIECES, st.lists(st.integers(0, 50), max_size=20))
@settings(deadline=None)  # machines stall
def test_a_queue_gives_every_byte_once_in_order(
    pieces: list[bytes], sizes: list[int]
) -> None:
    queue = ByteQueue()
    for piece in pieces:
        queue.append(piece)
    stream = b"".join(pieces)
    taken = [queue.take(size) for size in sizes]
    left = len(queue)
    assert b"".join(taken) + queue.take(left + 1) == stream
    assert len(queue) == 0


def test_a_cleared_queue_is_empty() -> None:
    queue = ByteQueue()
    queue.append(b"abc")
    queue.clear()
    assert (len(queue), queue.take(3)) == (0, b"")
