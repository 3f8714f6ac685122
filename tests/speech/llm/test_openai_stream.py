import threading
from collections.abc import Callable, Generator

import pytest

from runner.speech.llm.openai import stream_in_thread


def test_pieces_come_in_order() -> None:
    def produce(emit: Callable[[int], bool]) -> None:
        for number in range(100):
            emit(number)

    assert list(stream_in_thread(produce, lambda: False)) == list(range(100))


def test_an_error_of_the_producer_is_raised() -> None:
    def produce(emit: Callable[[int], bool]) -> None:
        emit(1)
        raise LookupError("gone")

    pieces = stream_in_thread(produce, lambda: False)
    assert next(pieces) == 1
    with pytest.raises(LookupError, match="gone"):
        next(pieces)


def test_cancellation_ends_the_stream_of_a_silent_producer() -> None:
    cancel, release = threading.Event(), threading.Event()

    def produce(emit: Callable[[int], bool]) -> None:
        emit(1)
        release.wait(10)

    pieces = stream_in_thread(produce, cancel.is_set)
    assert next(pieces) == 1
    cancel.set()
    assert list(pieces) == []  # would wait for `release` otherwise
    release.set()


def test_the_producer_sees_that_the_stream_was_closed() -> None:
    told = threading.Event()

    def produce(emit: Callable[[int], bool]) -> None:
        while emit(1):
            pass
        told.set()

    pieces = stream_in_thread(produce, lambda: False)
    next(pieces)
    assert isinstance(pieces, Generator)
    pieces.close()
    assert told.wait(10)


def test_the_producer_sees_the_cancellation() -> None:
    cancel, told = threading.Event(), threading.Event()

    def produce(emit: Callable[[int], bool]) -> None:
        while emit(1):
            pass
        told.set()

    pieces = stream_in_thread(produce, cancel.is_set)
    next(pieces)
    cancel.set()
    assert told.wait(10)
