"""One reply, from the output of the model to audio."""

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
from runner.service.responses import FILLER, WAITING, Reply, SpeechSynthesizer
from runner.service.workers import Workers
from runner.speech.interfaces import Cancelled, ModelOutput, TextChunk, ToolCallRequest
from tests.service.scripted import ScriptedSpeech, whistle


class ShortSynthesizer:
    """Whistles for 30 ms for any text; can be made to fail."""

    def __init__(self) -> None:
        self.fails = False

    def synthesize(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        if self.fails:
            raise RuntimeError("broken")
        yield whistle(440, 0.03)


class Events:
    """Records the events of a reply."""

    def __init__(self) -> None:
        self.all: list[ServerEvent] = []
        self.times: list[float] = []
        self.is_over = asyncio.Event()

    def post(self, event: ServerEvent) -> None:
        self.all.append(event)
        self.times.append(asyncio.get_running_loop().time())
        if isinstance(event, ReplyFinished | ReplyFailed):
            self.is_over.set()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.all if isinstance(event, kind)]


class Setup:
    """Creates replies, and records their events."""

    def __init__(self) -> None:
        self.voice = ShortSynthesizer()
        self.workers = Workers(4)
        speech = ScriptedSpeech({}, lambda context, history: [], voice=self.voice)
        self.synthesizer = SpeechSynthesizer(speech, self.workers)
        self.events = Events()

    def begin(
        self,
        output: Iterable[ModelOutput]
        | Callable[[Cancelled], Iterator[ModelOutput]] = (),
        **options: Any,
    ) -> Reply:
        produce = output if callable(output) else lambda c: iter(output)
        stream = self.workers.stream("the language model", produce)
        return Reply(stream, self.synthesizer, default_settings(), **options)

    async def collect(self, reply: Reply) -> Events:
        reply.release("resp_1", self.events.post)
        async with asyncio.timeout(10):
            await self.events.is_over.wait()
        return self.events


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    made = Setup()
    yield made
    made.workers.close()


def said(events: Events) -> list[str]:
    return [clause.text for clause in events.of(ClauseStarted)]


async def test_audio_follows_its_text_in_chunks_of_ten_milliseconds(
    setup: Setup,
) -> None:
    events = await setup.collect(setup.begin([TextChunk("One. Two.")]))

    assert said(events) == ["One.", "Two."]
    assert events.all[-1] == ReplyFinished("resp_1")
    sizes = [len(chunk.pcm) for chunk in events.of(AudioChunk)]
    assert sizes == [480, 480, 480] * 2


async def test_audio_is_sent_in_real_time(setup: Setup) -> None:
    text = " ".join(f"Sentence {number}." for number in range(20))
    events = await setup.collect(setup.begin(text=text))

    # 600 ms of audio, of which 100 ms may be ahead.
    assert events.times[-1] - events.times[0] >= 0.49


async def test_a_reply_posts_nothing_before_its_release(setup: Setup) -> None:
    thinking = threading.Event()

    def respond(cancelled: Cancelled) -> Iterator[ModelOutput]:
        yield ToolCallRequest("look")
        thinking.set()

    reply = setup.begin(respond)
    assert await setup.workers.run("waiting", lambda: thinking.wait(5))
    assert setup.events.all == []

    events = await setup.collect(reply)
    assert events.all[0] == ToolCallRequested("resp_1", "look")


async def test_a_filler_is_spoken_for_a_tool_call_without_text(setup: Setup) -> None:
    events = await setup.collect(setup.begin([ToolCallRequest("look")], may_fill=True))

    assert said(events) == [FILLER]
    # The tool runs while the filler plays.
    assert isinstance(events.all[0], ToolCallRequested)


@pytest.mark.parametrize(
    "output",
    [
        [TextChunk("I look."), ToolCallRequest("look")],
        [ToolCallRequest("end_call")],
        [ToolCallRequest("hang_up")],
    ],
)
async def test_no_filler_after_text_or_when_the_call_ends(
    setup: Setup, output: list[ModelOutput]
) -> None:
    events = await setup.collect(setup.begin(output, may_fill=True))

    assert FILLER not in said(events)
    assert len(events.of(ToolCallRequested)) == 1


async def test_a_second_tool_call_in_a_row_has_no_filler(setup: Setup) -> None:
    events = await setup.collect(setup.begin([ToolCallRequest("look")], may_fill=False))

    assert said(events) == []


async def test_a_failure_of_the_model_comes_after_its_text(
    setup: Setup,
) -> None:
    def respond(cancelled: Cancelled) -> Iterator[ModelOutput]:
        yield TextChunk("Well.")
        raise RuntimeError("no memory")

    events = await setup.collect(setup.begin(respond))

    assert said(events) == ["Well."]
    [failed] = events.of(ReplyFailed)
    assert failed.code == "llm_provider_error"
    assert "no memory" in failed.message
    assert events.of(ReplyFinished) == []


async def test_a_failure_of_the_synthesizer_is_an_internal_error(setup: Setup) -> None:
    setup.voice.fails = True
    events = await setup.collect(setup.begin(text="Hello."))

    [failed] = events.of(ReplyFailed)
    assert (failed.code, "broken" in failed.message) == ("internal_error", True)


async def test_cancelling_a_reply_stops_its_audio_and_the_model(setup: Setup) -> None:
    stopped = threading.Event()

    def respond(cancelled: Cancelled) -> Iterator[ModelOutput]:
        while not cancelled():
            yield TextChunk("And another thing.")
        stopped.set()

    reply = setup.begin(respond)
    heard = asyncio.Event()

    def post(event: ServerEvent) -> None:
        setup.events.post(event)
        if isinstance(event, AudioChunk):
            heard.set()

    reply.release("resp_1", post)
    async with asyncio.timeout(10):
        await heard.wait()
    assert reply.is_playing
    reply.cancel()
    count = len(setup.events.all)

    assert not reply.is_playing
    assert await setup.workers.run("waiting", lambda: stopped.wait(5))
    assert len(setup.events.all) == count


async def test_a_reply_knows_the_argument_it_asked_for(setup: Setup) -> None:
    reply = setup.begin([TextChunk("Which city?", asked_for="location")])
    await setup.collect(reply)

    assert reply.asked_for == "location"


async def test_while_the_model_is_slow_the_agent_says_that_it_is_there(
    setup: Setup,
) -> None:
    has_said = threading.Event()

    def slow(cancelled: Cancelled) -> Iterator[ModelOutput]:
        assert has_said.wait(10)
        yield TextChunk("It is sunny.")

    reply = setup.begin(slow, wait_seconds=0.02)
    post = setup.events.post

    def note(event: ServerEvent) -> None:
        post(event)
        if isinstance(event, AudioChunk):
            has_said.set()

    reply.release("resp_1", note)
    async with asyncio.timeout(10):
        await setup.events.is_over.wait()

    texts = [event.text for event in setup.events.of(ClauseStarted)]
    assert texts == [WAITING, "It is sunny."]


async def test_a_text_without_the_model_is_never_announced(setup: Setup) -> None:
    reply = Reply(
        None, setup.synthesizer, default_settings(), text="Hello.", wait_seconds=0.0
    )
    events = await setup.collect(reply)
    assert [event.text for event in events.of(ClauseStarted)] == ["Hello."]
