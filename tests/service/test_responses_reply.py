"""One reply from thoughts to sound."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest

from runner.protocol.server.config import default_settings
from runner.protocol.server.events import (
    AudioChunk,
    ClauseStarted,
    ReplyFailed,
    ReplyFinished,
    ServerEvent,
    ToolCallRequested,
)
from runner.service.responses import FILLER, Reply, SpeechSynthesizer
from runner.service.workers import Workers
from runner.speech.interfaces import Cancelled, ModelOutput, TextChunk, ToolCallRequest
from tests.service.scripted import ScriptedSpeech, whistle


class BriefVoice:
    """Whistles for 30 ms, whatever the words; can be made to fail."""

    name = "brief"

    def __init__(self) -> None:
        self.fails = False

    def speak(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        if self.fails:
            raise RuntimeError("hoarse")
        yield whistle(440, 0.03)


class Outlet:
    """Where a reply's events go."""

    def __init__(self) -> None:
        self.events: list[ServerEvent] = []
        self.times: list[float] = []
        self.is_over = asyncio.Event()

    def post(self, event: ServerEvent) -> None:
        self.events.append(event)
        self.times.append(asyncio.get_running_loop().time())
        if isinstance(event, ReplyFinished | ReplyFailed):
            self.is_over.set()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Studio:
    """Makes replies."""

    def __init__(self) -> None:
        self.voice = BriefVoice()
        self.workers = Workers(4)
        speech = ScriptedSpeech({}, lambda brief, history: [], voice=self.voice)
        self.synthesizer = SpeechSynthesizer(speech, self.workers)
        self.outlet = Outlet()

    def begin(
        self,
        thoughts: Iterable[ModelOutput]
        | Callable[[Cancelled], Iterator[ModelOutput]] = (),
        **options: Any,
    ) -> Reply:
        produce = thoughts if callable(thoughts) else lambda c: iter(thoughts)
        stream = self.workers.stream("the language model", produce)
        return Reply(stream, self.synthesizer, default_settings(), **options)

    async def hear(self, reply: Reply) -> Outlet:
        reply.release("resp_1", self.outlet.post)
        async with asyncio.timeout(10):
            await self.outlet.is_over.wait()
        return self.outlet


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    made = Studio()
    yield made
    made.workers.close()


def said(outlet: Outlet) -> list[str]:
    return [clause.text for clause in outlet.of(ClauseStarted)]


async def test_sound_follows_its_words_in_chunks_of_ten_milliseconds(
    studio: Studio,
) -> None:
    outlet = await studio.hear(studio.begin([TextChunk("One. Two.")]))

    assert said(outlet) == ["One.", "Two."]
    assert outlet.events[-1] == ReplyFinished("resp_1")
    sizes = [len(chunk.pcm) for chunk in outlet.of(AudioChunk)]
    assert sizes == [480, 480, 480] * 2


async def test_sound_is_sent_at_its_own_pace(studio: Studio) -> None:
    text = " ".join(f"Sentence {number}." for number in range(20))
    outlet = await studio.hear(studio.begin(say=text))

    # 600 ms of sound, of which 100 ms may be ahead.
    assert outlet.times[-1] - outlet.times[0] >= 0.49


async def test_nothing_is_heard_of_a_reply_before_its_release(studio: Studio) -> None:
    thinking = threading.Event()

    def think(cancelled: Cancelled) -> Iterator[ModelOutput]:
        yield ToolCallRequest("look")
        thinking.set()

    reply = studio.begin(think)
    assert await studio.workers.run("waiting", lambda: thinking.wait(5))
    assert studio.outlet.events == []

    outlet = await studio.hear(reply)
    assert outlet.events[0] == ToolCallRequested("resp_1", "look")


async def test_a_tool_without_a_word_is_covered_by_the_filler(studio: Studio) -> None:
    outlet = await studio.hear(studio.begin([ToolCallRequest("look")], may_fill=True))

    assert said(outlet) == [FILLER]
    # The tool runs while the filler plays.
    assert isinstance(outlet.events[0], ToolCallRequested)


@pytest.mark.parametrize(
    "thoughts",
    [
        [TextChunk("I look."), ToolCallRequest("look")],
        [ToolCallRequest("end_call")],
        [ToolCallRequest("hang_up")],
    ],
)
async def test_no_filler_where_words_were_said_or_the_call_ends(
    studio: Studio, thoughts: list[ModelOutput]
) -> None:
    outlet = await studio.hear(studio.begin(thoughts, may_fill=True))

    assert FILLER not in said(outlet)
    assert len(outlet.of(ToolCallRequested)) == 1


async def test_a_second_tool_in_a_row_is_not_covered_again(studio: Studio) -> None:
    outlet = await studio.hear(studio.begin([ToolCallRequest("look")], may_fill=False))

    assert said(outlet) == []


async def test_a_mind_that_fails_says_so_after_what_it_had_said(
    studio: Studio,
) -> None:
    def think(cancelled: Cancelled) -> Iterator[ModelOutput]:
        yield TextChunk("Well.")
        raise RuntimeError("no memory")

    outlet = await studio.hear(studio.begin(think))

    assert said(outlet) == ["Well."]
    [failed] = outlet.of(ReplyFailed)
    assert failed.code == "llm_provider_error"
    assert "no memory" in failed.message
    assert outlet.of(ReplyFinished) == []


async def test_a_voice_that_fails_is_an_error_of_the_server(studio: Studio) -> None:
    studio.voice.fails = True
    outlet = await studio.hear(studio.begin(say="Hello."))

    [failed] = outlet.of(ReplyFailed)
    assert (failed.code, "hoarse" in failed.message) == ("internal_error", True)


async def test_a_cancelled_reply_is_silent_and_its_mind_stops(studio: Studio) -> None:
    stopped = threading.Event()

    def think(cancelled: Cancelled) -> Iterator[ModelOutput]:
        while not cancelled():
            yield TextChunk("And another thing.")
        stopped.set()

    reply = studio.begin(think)
    heard = asyncio.Event()

    def post(event: ServerEvent) -> None:
        studio.outlet.post(event)
        if isinstance(event, AudioChunk):
            heard.set()

    reply.release("resp_1", post)
    async with asyncio.timeout(10):
        await heard.wait()
    assert reply.is_sounding
    reply.cancel()
    count = len(studio.outlet.events)

    assert not reply.is_sounding
    assert await studio.workers.run("waiting", lambda: stopped.wait(5))
    assert len(studio.outlet.events) == count


async def test_what_the_mind_asked_for_is_known(studio: Studio) -> None:
    reply = studio.begin([TextChunk("Which city?", asked_for="location")])
    await studio.hear(reply)

    assert reply.asked_for == "location"
