"""From sound to turns. Time is counted in sound: none of this waits for real time."""

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
from runner.speech.interfaces import Recognizer, Samples, Transcript, Vad
from tests.service.scripted import ScriptedSpeech, whistle

LINES = {500.0: "Where is my order?", 1500.0: "Thank you."}
SILENCE = bytes(48_000)
SHORT_PAUSE = bytes(int(48_000 * 0.35))


class Complete:
    """Finds every turn as complete as it is told."""

    def __init__(self, completeness: float) -> None:
        self._completeness = completeness

    def completeness(self, samples: Samples) -> float:
        return self._completeness


class Says:
    """Recognises what a function makes of the sound."""

    def __init__(self, make: Callable[[Samples], Transcript]) -> None:
        self._make = make

    def transcribe(
        self, samples: Samples, *, key_terms: Sequence[str] = ()
    ) -> Transcript:
        return self._make(samples)


class Listening:
    """Keeps what it is told; its floor can be set."""

    def __init__(self) -> None:
        self.agent_sounds = False
        self.yields = True
        self.told: list[Any] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, event: ServerEvent) -> None:
        self._tell(event)

    def suppose(self, text: str) -> None:
        self._tell(f"suppose {text}")

    def doubt(self) -> None:
        self._tell("doubt")

    def mark_end(self, silence_seconds: float) -> None:
        self._tell(round(silence_seconds, 3))

    async def until(self, wanted: type, count: int = 1) -> list[Any]:
        """Return what was told up to so many events of this kind."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.of(wanted)) >= count)
        return self.told

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.told if isinstance(item, kind)]

    def _tell(self, item: Any) -> None:
        self.told.append(item)
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
    return ScriptedSpeech(LINES, lambda brief, history: [], **parts)


@asynccontextmanager
async def hearing(
    parts: ScriptedSpeech, settings: Settings | None = None
) -> AsyncIterator[tuple[SpeechPipeline, Listening]]:
    workers, listening = Workers(4), Listening()
    made = SpeechPipeline(parts, workers, listening)
    made.configure(settings or default_settings())
    running = asyncio.create_task(made.run())
    try:
        yield made, listening
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        workers.close()


async def test_a_sentence_becomes_a_turn_with_its_words() -> None:
    async with hearing(speech()) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SILENCE)

        await told.until(TurnCommitted)

    kinds = [type(item) for item in told.told if isinstance(item, ServerEvent)]
    assert kinds[0] is SpeechStarted
    assert set(kinds[1:-1]) == {PartialTranscript}
    assert told.told[-1] == TurnCommitted("Where is my order?")


async def test_the_text_is_supposed_before_the_turn_is_over() -> None:
    async with hearing(speech()) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        await told.until(TurnCommitted)

    supposed = told.told.index("suppose Where is my order?")
    assert supposed < told.told.index(TurnCommitted("Where is my order?"))


async def test_a_complete_sentence_ends_at_a_short_pause() -> None:
    async with hearing(speech(endpointer=Complete(0.9))) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SHORT_PAUSE)

        assert TurnCommitted("Where is my order?") in await told.until(TurnCommitted)


async def test_an_incomplete_one_goes_on_after_a_short_pause() -> None:
    async with hearing(speech(endpointer=Complete(0.1))) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SHORT_PAUSE)
        ears.listen(whistle(500, 0.8) + SILENCE)
        await told.until(TurnCommitted)

    assert len(told.of(SpeechStarted)) == 1
    assert "doubt" in told.told


async def test_two_sentences_are_two_turns() -> None:
    async with hearing(speech()) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        await told.until(TurnCommitted)
        ears.listen(SILENCE + whistle(1500, 0.8) + SILENCE)
        await told.until(TurnCommitted, 2)

    assert told.of(TurnCommitted) == [
        TurnCommitted("Where is my order?"),
        TurnCommitted("Thank you."),
    ]


async def test_the_client_can_ask_for_longer_silences() -> None:
    patient = configured(min_silence=1500, max_silence=3000)
    async with hearing(speech(endpointer=Complete(0.9)), patient) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        ears.listen(whistle(500, 0.8) + SILENCE + SILENCE)
        await told.until(TurnCommitted)

    assert len(told.of(SpeechStarted)) == 1


async def test_words_that_nobody_spoke_are_dropped() -> None:
    invented = Says(lambda samples: Transcript("Thank you.", no_speech=0.7))
    async with hearing(speech(recognizer=invented)) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        await told.until(TurnCommitted)

    assert told.of(TurnCommitted) == [TurnCommitted("")]
    assert told.of(PartialTranscript) == []


async def test_without_a_recognizer_turns_have_no_words() -> None:
    class Deaf(ScriptedSpeech):
        def recognizer(self) -> Recognizer | None:
            return None

    async with hearing(Deaf(LINES, lambda brief, history: [])) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        await told.until(TurnCommitted)

    assert told.of(TurnCommitted) == [TurnCommitted("")]


async def test_a_recognizer_that_fails_is_told_and_the_next_turn_is_heard() -> None:
    failures = [RuntimeError("out of memory")]

    def fail_once(samples: Samples) -> Transcript:
        if failures:
            raise failures.pop()
        return Transcript("Hello?")

    async with hearing(speech(recognizer=Says(fail_once))) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.4) + SILENCE)
        await told.until(TurnCommitted)
        ears.listen(whistle(500, 0.4) + SILENCE)
        await told.until(TurnCommitted, 2)

    [failure] = told.of(Failed)
    assert "out of memory" in failure.message
    assert told.of(TurnCommitted) == [TurnCommitted(""), TurnCommitted("Hello?")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Stop.", [SpeechStarted(), TurnCommitted("Stop.")]),
        ("Mhm.", []),
        ("Thank you.", []),
    ],
)
async def test_a_short_word_under_the_agents_voice_interrupts_if_it_means_to(
    words: str, expected: list[ServerEvent]
) -> None:
    recognizer = Says(
        lambda samples: Transcript("Then this." if len(samples) > 16_000 else words)
    )
    async with hearing(speech(recognizer=recognizer)) as (ears, told):
        told.agent_sounds = True
        ears.listen(SILENCE + whistle(500, 0.35) + SILENCE)
        if expected:
            await told.until(TurnCommitted)
        ears.listen(whistle(500, 1.2) + SILENCE)
        await told.until(TurnCommitted, 1 + len(expected) // 2)

    events = [e for e in told.told if isinstance(e, SpeechStarted | TurnCommitted)]
    assert events[:-2] == expected


async def test_a_caller_who_may_not_interrupt_is_not_heard() -> None:
    async with hearing(speech()) as (ears, told):
        told.agent_sounds, told.yields = True, False
        ears.listen(SILENCE + whistle(500, 2.0) + SILENCE)
        ears.reset()  # comes after the sound: its doubt shows that all was heard
        await told.until(str)

    assert told.told == ["doubt"]


async def test_sound_that_comes_while_the_models_load_is_not_lost() -> None:
    loaded = threading.Event()

    class Slow(ScriptedSpeech):
        def vad(self) -> Vad:
            loaded.wait(5)
            return super().vad()

    async with hearing(Slow(LINES, lambda brief, history: [])) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8) + SILENCE)
        loaded.set()
        await told.until(TurnCommitted)

    assert told.of(TurnCommitted) == [TurnCommitted("Where is my order?")]


async def test_a_turn_that_a_lost_line_cut_is_void() -> None:
    async with hearing(speech()) as (ears, told):
        ears.listen(SILENCE + whistle(500, 0.8))
        ears.reset()
        ears.listen(SILENCE + whistle(1500, 0.8) + SILENCE)
        await told.until(TurnCommitted)

    assert told.of(TurnCommitted) == [TurnCommitted("Thank you.")]


async def test_a_long_turn_is_settled_at_its_pauses_and_loses_no_words() -> None:
    """Each pause of a long turn keeps what was said before it."""
    async with hearing(speech(endpointer=Complete(0.1))) as (ears, told):
        ears.listen(SILENCE + whistle(500, 16.0) + SHORT_PAUSE)
        async with asyncio.timeout(10):
            await told.until(PartialTranscript)
            while "suppose Where is my order?" not in told.told:
                await told.until(object, len(told.told) + 1)
        ears.listen(whistle(1500, 2.0) + SILENCE)
        await told.until(TurnCommitted)

    assert told.of(TurnCommitted) == [TurnCommitted("Where is my order? Thank you.")]
