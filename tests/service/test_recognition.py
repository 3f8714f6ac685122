"""Recognition of turns. Time is counted in audio: no test waits for real time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runner.protocol.server.config import Settings, apply_update, default_settings
from runner.protocol.server.events import (
    Failed,
    PartialTranscript,
    ServerEvent,
    SpeechStarted,
    TurnCommitted,
)
from runner.service.recognition import SpeechPipeline
from runner.service.workers import Workers
from runner.speech.interfaces import Recognizer, Samples, Vad
from tests.service.scripted import ScriptedSpeech, whistle

LINES = {500.0: "Where is my order?", 1500.0: "Thank you."}
SILENCE = bytes(48_000)
SHORT_PAUSE = bytes(int(48_000 * 0.35))


class FixedEndpointer:
    """Returns the same completeness for every turn."""

    def __init__(self, completeness: float) -> None:
        self._completeness = completeness

    def completeness(self, samples: Samples) -> float:
        return self._completeness


class FunctionRecognizer:
    """Returns the text that a function makes of the audio."""

    def __init__(self, make: Callable[[Samples], str]) -> None:
        self._make = make

    def transcribe(self, samples: Samples, *, key_terms: Sequence[str] = ()) -> str:
        return self._make(samples)


class RecordingListener:
    """Records all calls; its properties can be set."""

    def __init__(self) -> None:
        self.agent_is_speaking = False
        self.is_interruptible = True
        self.record: list[Any] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, event: ServerEvent) -> None:
        self._add(event)

    def speculate(self, text: str) -> None:
        self._add(f"speculate {text}")

    def cancel_speculation(self) -> None:
        self._add("cancel")

    def mark_turn_end(self, silence_seconds: float) -> None:
        self._add(round(silence_seconds, 3))

    async def until(self, wanted: type, count: int = 1) -> list[Any]:
        """Returns the record once it has `count` events of this kind."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.of(wanted)) >= count)
        return self.record

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.record if isinstance(item, kind)]

    def _add(self, item: Any) -> None:
        self.record.append(item)
        task = asyncio.ensure_future(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def configured(**detection: object) -> Settings:
    update = {"input": {"turn_detection": detection or None}}
    outcome = apply_update(default_settings(), update, first=True)
    assert isinstance(outcome, Settings)
    return outcome


def speech(**parts: Any) -> ScriptedSpeech:
    return ScriptedSpeech(LINES, lambda context, history: [], **parts)


@asynccontextmanager
async def recognizing(
    parts: ScriptedSpeech, settings: Settings | None = None
) -> AsyncIterator[tuple[SpeechPipeline, RecordingListener]]:
    workers, listener = Workers(4), RecordingListener()
    made = SpeechPipeline(parts, workers, listener)
    made.configure(settings or default_settings())
    running = asyncio.create_task(made.run())
    try:
        yield made, listener
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        workers.close()


async def test_a_sentence_becomes_a_turn_with_its_text() -> None:
    async with recognizing(speech()) as (pipeline, listener):
        pipeline.listen(SILENCE + whistle(500, 0.8) + SILENCE)

        await listener.until(TurnCommitted)

    kinds = [type(item) for item in listener.record if isinstance(item, ServerEvent)]
    assert kinds[0] is SpeechStarted
    assert set(kinds[1:-1]) == {PartialTranscript}
    assert listener.record[-1] == TurnCommitted("Where is my order?")


async def test_a_speculative_reply_starts_before_the_turn_ends() -> None:
    async with recognizing(speech()) as (pipeline, listener):
        pipeline.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        await listener.until(TurnCommitted)

    speculated = listener.record.index("speculate Where is my order?")
    assert speculated < listener.record.index(TurnCommitted("Where is my order?"))


async def test_a_complete_sentence_ends_at_a_short_pause() -> None:
    async with recognizing(speech(endpointer=FixedEndpointer(0.9))) as (
        pipeline,
        listener,
    ):
        pipeline.listen(SILENCE + whistle(500, 0.8) + SHORT_PAUSE)

        assert TurnCommitted("Where is my order?") in await listener.until(
            TurnCommitted
        )


async def test_an_incomplete_sentence_continues_after_a_short_pause() -> None:
    async with recognizing(speech(endpointer=FixedEndpointer(0.1))) as (
        pipeline,
        listener,
    ):
        pipeline.listen(SILENCE + whistle(500, 0.8) + SHORT_PAUSE)
        pipeline.listen(whistle(500, 0.8) + SILENCE)
        await listener.until(TurnCommitted)

    assert len(listener.of(SpeechStarted)) == 1
    assert "cancel" in listener.record


async def test_two_sentences_are_two_turns() -> None:
    async with recognizing(speech()) as (pipeline, listener):
        pipeline.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        await listener.until(TurnCommitted)
        pipeline.listen(SILENCE + whistle(1500, 0.8) + SILENCE)
        await listener.until(TurnCommitted, 2)

    assert listener.of(TurnCommitted) == [
        TurnCommitted("Where is my order?"),
        TurnCommitted("Thank you."),
    ]


async def test_the_client_can_set_longer_silences() -> None:
    patient = configured(min_silence=1500, max_silence=3000)
    async with recognizing(speech(endpointer=FixedEndpointer(0.9)), patient) as (
        pipeline,
        listener,
    ):
        pipeline.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        pipeline.listen(whistle(500, 0.8) + SILENCE + SILENCE)
        await listener.until(TurnCommitted)

    assert len(listener.of(SpeechStarted)) == 1


async def test_without_a_recognizer_turns_have_no_text() -> None:
    class WithoutRecognizer(ScriptedSpeech):
        def recognizer(self) -> Recognizer | None:
            return None

    async with recognizing(WithoutRecognizer(LINES, lambda context, history: [])) as (
        pipeline,
        listener,
    ):
        pipeline.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        await listener.until(TurnCommitted)

    assert listener.of(TurnCommitted) == [TurnCommitted("")]


async def test_a_failing_recognizer_is_reported_and_the_next_turn_works() -> None:
    failures = [RuntimeError("out of memory")]

    def fail_once(samples: Samples) -> str:
        if failures:
            raise failures.pop()
        return "Hello?"

    async with recognizing(speech(recognizer=FunctionRecognizer(fail_once))) as (
        pipeline,
        listener,
    ):
        pipeline.listen(SILENCE + whistle(500, 0.4) + SILENCE)
        await listener.until(TurnCommitted)
        pipeline.listen(whistle(500, 0.4) + SILENCE)
        await listener.until(TurnCommitted, 2)

    [failure] = listener.of(Failed)
    assert "out of memory" in failure.message
    assert listener.of(TurnCommitted) == [TurnCommitted(""), TurnCommitted("Hello?")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Stop.", [SpeechStarted(), TurnCommitted("Stop.")]),
        ("Mhm.", []),
        ("Thank you.", []),
    ],
)
async def test_a_short_utterance_interrupts_the_agent_only_if_it_is_a_stop_phrase(
    words: str, expected: list[ServerEvent]
) -> None:
    recognizer = FunctionRecognizer(
        lambda samples: "Then this." if len(samples) > 16_000 else words
    )
    async with recognizing(speech(recognizer=recognizer)) as (pipeline, listener):
        listener.agent_is_speaking = True
        pipeline.listen(SILENCE + whistle(500, 0.35) + SILENCE)
        if expected:
            await listener.until(TurnCommitted)
        pipeline.listen(whistle(500, 1.2) + SILENCE)
        await listener.until(TurnCommitted, 1 + len(expected) // 2)

    events = [
        e for e in listener.record if isinstance(e, SpeechStarted | TurnCommitted)
    ]
    assert events[:-2] == expected


async def test_speech_is_ignored_while_the_agent_cannot_be_interrupted() -> None:
    async with recognizing(speech()) as (pipeline, listener):
        listener.agent_is_speaking, listener.is_interruptible = True, False
        pipeline.listen(SILENCE + whistle(500, 2.0) + SILENCE)
        pipeline.reset()  # cancels once all audio has been processed
        await listener.until(str)

    assert listener.record == ["cancel"]


async def test_audio_that_arrives_while_the_models_load_is_kept() -> None:
    loaded = threading.Event()

    class Slow(ScriptedSpeech):
        def vad(self) -> Vad:
            loaded.wait(5)
            return super().vad()

    async with recognizing(Slow(LINES, lambda context, history: [])) as (
        pipeline,
        listener,
    ):
        pipeline.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        loaded.set()
        await listener.until(TurnCommitted)

    assert listener.of(TurnCommitted) == [TurnCommitted("Where is my order?")]


async def test_a_lost_connection_discards_the_current_turn() -> None:
    async with recognizing(speech()) as (pipeline, listener):
        pipeline.listen(SILENCE + whistle(500, 0.8))
        pipeline.reset()
        pipeline.listen(SILENCE + whistle(1500, 0.8) + SILENCE)
        await listener.until(TurnCommitted)

    assert listener.of(TurnCommitted) == [TurnCommitted("Thank you.")]


async def test_the_text_of_a_long_turn_becomes_final_at_its_pauses() -> None:
    async with recognizing(speech(endpointer=FixedEndpointer(0.1))) as (
        pipeline,
        listener,
    ):
        pipeline.listen(SILENCE + whistle(500, 16.0) + SHORT_PAUSE)
        async with asyncio.timeout(10):
            await listener.until(PartialTranscript)
            while "speculate Where is my order?" not in listener.record:
                await listener.until(object, len(listener.record) + 1)
        pipeline.listen(whistle(1500, 2.0) + SILENCE)
        await listener.until(TurnCommitted)

    assert listener.of(TurnCommitted) == [
        TurnCommitted("Where is my order? Thank you.")
    ]
