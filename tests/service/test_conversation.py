"""One conversation, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from runner.protocol.messages import (
    ConversationMessage,
    InputAudio,
    ReplyCreate,
    SessionEnd,
    SessionUpdate,
)
from runner.protocol.server.events import Received
from runner.protocol.server.session import Phase
from runner.service.conversation import Conversation, ServerContext, make_id
from runner.service.responses import SpeechSynthesizer
from runner.service.workers import Workers
from runner.speech.interfaces import (
    AgentContext,
    HistoryMessage,
    ModelOutput,
    TextChunk,
    UserMessage,
)
from tests.service.scripted import ScriptedSpeech, whistle


def decide(
    context: AgentContext, history: Sequence[HistoryMessage]
) -> Iterable[ModelOutput]:
    last = history[-1]
    yield TextChunk(
        f"You say {last.text if isinstance(last, UserMessage) else 'nothing'}."
    )


class FakeConnection:
    """Records the messages sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.code: int | None = None
        self.has_session = False
        self._changed = asyncio.Event()

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))
        self._changed.set()

    def close(self, code: int) -> None:
        self.code = code
        self._changed.set()

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while not (found := [m for m in self.sent if m["type"] == kind]):
                self._changed.clear()
                await self._changed.wait()
        return found[-1]

    async def closed(self) -> int:
        async with asyncio.timeout(10):
            while self.code is None:
                self._changed.clear()
                await self._changed.wait()
        return self.code


class Setup:
    """One conversation, as a context."""

    def __init__(self, speech: ScriptedSpeech) -> None:
        self.speech = speech
        self.workers = Workers(4)
        self.reports: list[tuple[str, Mapping[str, Any]]] = []
        context = ServerContext(
            speech,
            self.workers,
            SpeechSynthesizer(speech, self.workers),
            lambda kind, facts: self.reports.append((kind, facts)),
        )
        self.talk = Conversation(context)
        self.line = FakeConnection()
        self.talk.attach(self.line)

    def receive(self, *messages: Any) -> None:
        for message in messages:
            self.talk.post(Received(message))


@asynccontextmanager
async def setup(speech: ScriptedSpeech | None = None) -> AsyncIterator[Setup]:
    lines = {500.0: "Where is my order?"}
    made = Setup(speech or ScriptedSpeech(lines, decide))
    running = asyncio.create_task(made.talk.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        made.workers.close()


async def test_a_conversation_ends_with_its_session() -> None:
    async with setup() as here:
        here.receive(SessionUpdate({}), SessionEnd())
        assert await here.line.closed() == 1000

    assert here.talk.session.phase is Phase.CLOSED
    kinds = [kind for kind, _ in here.reports]
    assert kinds == ["vagent.session.opened", "vagent.session.closed"]


async def test_a_connection_lost_before_its_resume_leaves_a_dropped_session() -> None:
    async with setup() as here:
        here.receive(SessionUpdate({}))
        await here.line.until("session.ready")
        here.talk.detach(here.line)
        new = FakeConnection()
        here.talk.resume(new)
        assert here.talk.is_connected
        here.talk.detach(new)
        assert not here.talk.is_connected
        last = FakeConnection()
        here.talk.resume(last)
        await last.until("session.ready")

    assert new.sent == []


async def test_of_two_connections_that_resume_at_once_the_first_is_closed() -> None:
    async with setup() as here:
        here.receive(SessionUpdate({}))
        await here.line.until("session.ready")
        first, second = FakeConnection(), FakeConnection()
        here.talk.resume(first)
        here.talk.resume(second)
        assert await first.closed() == 1000
        await second.until("session.ready")


async def test_the_size_of_a_session_contains_its_prompt_and_history() -> None:
    async with setup() as here:
        here.receive(SessionUpdate({"system_prompt": "x" * 5_000}))
        here.receive(ConversationMessage("user", "y" * 3_000), ReplyCreate())
        await here.line.until("reply.done")
        assert 8_000 < here.talk.size < 20_000


async def test_the_model_is_warmed_while_the_greeting_plays() -> None:
    async with setup() as here:
        here.receive(SessionUpdate({"greeting": "Hi.", "system_prompt": "Be brief."}))
        await here.line.until("reply.done")

    [context] = here.speech.scripted_model.warmed
    assert context.prompt == "Be brief."


async def test_speech_is_recognized_and_answered() -> None:
    async with setup() as here:
        here.receive(SessionUpdate({}))
        here.receive(InputAudio(bytes(9_600) + whistle(500, 0.6) + bytes(48_000)))
        said = await here.line.until("transcript.agent")

    assert said["text"] == "You say Where is my order?."
    turns = [facts for kind, facts in here.reports if kind == "vagent.turn"]
    assert [turn["speculative"] for turn in turns] == [True]


async def test_speech_without_recognition_is_reported_once() -> None:
    class Deaf(ScriptedSpeech):
        def recognizer(self) -> None:
            return None

    turn = InputAudio(bytes(9_600) + whistle(500, 0.6) + bytes(48_000))
    async with setup(Deaf({}, decide)) as here:
        here.receive(SessionUpdate({}), turn)
        await here.line.until("input.speech.stopped")
        here.line.sent.clear()
        here.receive(turn)
        await here.line.until("input.speech.stopped")

    warnings = [facts for kind, facts in here.reports if kind == "vagent.warning"]
    [warning] = warnings
    assert "there is no speech recognition" in warning["message"]


async def test_a_failing_warm_up_is_reported_and_the_model_used_later() -> None:
    class Cold(ScriptedSpeech):
        def language_model(self) -> Any:
            raise RuntimeError("cold")

    async with setup(Cold({}, decide)) as here:
        here.receive(SessionUpdate({"system_prompt": "x"}))
        await here.line.until("session.ready")
        here.receive(ReplyCreate())
        error = await here.line.until("reply.error")
        await here.line.until("reply.done")

    assert error["code"] == "llm_provider_error"
    assert here.talk.session.phase is Phase.LIVE
    assert "vagent.warning" in [kind for kind, _ in here.reports]


async def test_a_dropped_conversation_continues_without_a_connection() -> None:
    async with setup() as here:
        here.receive(SessionUpdate({}), ConversationMessage("user", "I am Kim"))
        await here.line.until("session.ready")
        here.talk.detach(here.line)
        new = FakeConnection()
        here.talk.resume(new)
        ready = await new.until("session.ready")
        here.receive(ReplyCreate())
        said = await new.until("transcript.agent")

    assert ready["session_id"] == here.talk.session.session_id
    assert said["text"] == "You say I am Kim."
    assert here.line.sent[-1]["type"] == "session.ready"


async def test_the_late_end_of_an_old_connection_does_not_drop_the_new_one() -> None:
    async with setup() as here:
        here.receive(SessionUpdate({}))
        await here.line.until("session.ready")
        new = FakeConnection()
        here.talk.resume(new)
        await new.until("session.ready")
        here.talk.detach(here.line)
        here.receive(ReplyCreate())

        assert await new.until("reply.done")
        assert await here.line.closed() == 1000


def test_ids_begin_with_their_kind() -> None:
    assert make_id("sess").startswith("sess_")
    assert len(make_id("resp")) == len("resp_") + 32
    assert make_id("msg") != make_id("msg")
