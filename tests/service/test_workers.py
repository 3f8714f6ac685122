"""Tasks in threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from runner.errors import ModelMissing, SpeechError
from runner.service.workers import Workers
from runner.speech.interfaces import Cancelled


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


async def test_a_task_runs_in_another_thread(workers: Workers) -> None:
    assert await workers.run("naming", threading.get_ident) != threading.get_ident()


async def test_any_exception_of_an_engine_becomes_a_speech_error_with_its_task(
    workers: Workers,
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(SpeechError, match="^the voice failed: ZeroDivisionError: by"):
        await workers.run("the voice", fail)


async def test_a_speech_error_is_not_changed(workers: Workers) -> None:
    def fail() -> None:
        raise ModelMissing("no such model 'x'")

    with pytest.raises(ModelMissing, match="no such model 'x'"):
        await workers.run("loading", fail)


async def test_a_stream_yields_items_in_order(workers: Workers) -> None:
    stream = workers.stream("counting", lambda cancelled: iter(range(100)))

    assert [number async for number in stream] == list(range(100))


async def test_a_stream_raises_after_its_items(workers: Workers) -> None:
    def produce(cancelled: Cancelled) -> Iterator[int]:
        yield 1
        raise RuntimeError("broke")

    got = []
    with pytest.raises(SpeechError, match="counting failed: RuntimeError: broke"):
        async for number in workers.stream("counting", produce):
            got.append(number)
    assert got == [1]


async def test_cancelling_a_stream_stops_its_generator(workers: Workers) -> None:
    stopped = threading.Event()

    def produce(cancelled: Cancelled) -> Iterator[int]:
        number = 0
        while not cancelled():
            yield (number := number + 1)
        stopped.set()

    stream = workers.stream("counting", produce)
    async for _ in stream:
        stream.cancel()
        break

    assert await workers.run("waiting", lambda: stopped.wait(5))
