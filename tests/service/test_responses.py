"""The agent's side of a session: guesses, memory, replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest

from runner.protocol.client.announcements import prompt_verbatim
from runner.protocol.messages import (
    ConversationMessage,
    ToolCall,
    TranscriptUser,
    say_verbatim,
)
from runner.protocol.server.config import Settings, apply_update, default_settings
from runner.protocol.server.events import (
    AppendHistory,
    ClauseStarted,
    RemoveFromHistory,
    ReplyFinished,
    ServerEvent,
    StartReply,
)
from runner.service.responses import Responder, SpeechSynthesizer
from runner.service.workers import Workers
from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    ModelOutput,
    SystemMessage,
    TextChunk,
    UserMessage,
)
from tests.service.scripted import ScriptedSpeech


def echo(
    context: AgentContext, history: Sequence[HistoryMessage]
) -> Iterable[ModelOutput]:
    """Say what is to be answered."""
    last = history[-1]
    assert isinstance(last, UserMessage | SystemMessage)
    yield TextChunk(f"You say {last.text}")


class Agent:
    """One `Responder` without audio, and the events of its replies."""

    def __init__(self) -> None:
        self.workers = Workers(4)
        self.speech = ScriptedSpeech({}, echo)
        synthesizer = SpeechSynthesizer(self.speech, self.workers)
        self.responder = Responder(self.speech, self.workers, synthesizer)
        self.responder.configure(configured(output={"type": "text"}))
        self._said: list[str] = []
        self._done = asyncio.Event()

    def post(self, event: ServerEvent) -> None:
        if isinstance(event, ClauseStarted):
            self._said.append(event.text)
        if isinstance(event, ReplyFinished):
            self._done.set()

    async def reply(self, **wanted: Any) -> tuple[str, bool]:
        """Returns the text of a reply, and whether it was speculative."""
        self._said.clear()
        self._done.clear()
        was_speculative = self.responder.start(
            StartReply("resp_1", **wanted), self.post
        )
        async with asyncio.timeout(10):
            await self._done.wait()
        return " ".join(self._said), was_speculative

    def add_user_message(self, text: str) -> None:
        self.responder.update_history(AppendHistory(TranscriptUser(text)))

    @property
    def asked(self) -> list[Sequence[HistoryMessage]]:
        return self.speech.scripted_model.asked


def configured(**update: Any) -> Settings:
    outcome = apply_update(default_settings(), update, first=True)
    assert isinstance(outcome, Settings)
    return outcome


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    made = Agent()
    yield made
    made.responder.close()
    made.workers.close()


async def test_a_right_speculation_becomes_the_reply(agent: Agent) -> None:
    agent.responder.speculate("Hello?")
    agent.add_user_message("Hello?")

    assert await agent.reply() == ("You say Hello?", True)
    assert len(agent.asked) == 1


async def test_a_wrong_speculation_is_discarded(agent: Agent) -> None:
    agent.responder.speculate("Hell")
    agent.add_user_message("Hello?")

    assert await agent.reply() == ("You say Hello?", False)


async def test_a_cancelled_speculation_is_not_used(agent: Agent) -> None:
    agent.responder.speculate("Hello?")
    agent.responder.cancel_speculation()
    agent.add_user_message("Hello?")

    assert (await agent.reply())[1] is False


async def test_equal_speculations_are_generated_once(agent: Agent) -> None:
    agent.responder.speculate("Hello?")
    agent.responder.speculate("Hello?")
    agent.add_user_message("Hello?")
    await agent.reply()

    assert len(agent.asked) == 1


async def test_a_changed_history_discards_the_speculation(agent: Agent) -> None:
    agent.responder.speculate("Hello?")
    agent.responder.update_history(
        AppendHistory(ConversationMessage("system", "Be rude."))
    )
    agent.add_user_message("Hello?")

    assert (await agent.reply())[1] is False
    assert agent.asked[-1] == (SystemMessage("Be rude."), UserMessage("Hello?"))


async def test_new_settings_discard_the_speculation(agent: Agent) -> None:
    agent.responder.speculate("Hello?")
    agent.responder.configure(
        configured(output={"type": "text"}, system_prompt="Other.")
    )
    agent.add_user_message("Hello?")

    assert (await agent.reply())[1] is False


async def test_a_greeting_does_not_use_the_model(agent: Agent) -> None:
    assert await agent.reply(say="Hi. Who are you?") == ("Hi. Who are you?", False)
    assert agent.asked == []


async def test_instructions_apply_to_one_reply(agent: Agent) -> None:
    agent.add_user_message("Hello?")
    await agent.reply(instructions="Say bye.", unasked=True)
    agent.add_user_message("What?")
    await agent.reply()

    assert agent.asked == [
        (UserMessage("Hello?"), SystemMessage("Say bye.")),
        (UserMessage("Hello?"), UserMessage("What?")),
    ]


async def test_verbatim_text_is_spoken_unchanged(agent: Agent) -> None:
    line = 'Are you "there"?'
    instructions = prompt_verbatim(line)

    assert await agent.reply(instructions=instructions, unasked=True) == (line, False)
    assert agent.asked == []


async def test_an_announcement_is_spoken_unchanged_during_a_tool_call(
    agent: Agent,
) -> None:
    agent.responder.update_history(AppendHistory(TranscriptUser("Look it up.")))
    agent.responder.update_history(AppendHistory(ToolCall("c", "look")))

    said = await agent.reply(instructions=say_verbatim("One moment."), unasked=True)

    assert said == ("One moment.", False)
    assert agent.asked == []


async def test_an_unasked_reply_has_an_instruction_to_answer(
    agent: Agent,
) -> None:
    await agent.reply(unasked=True)

    [[only]] = agent.asked
    assert isinstance(only, SystemMessage)


async def test_a_removed_tool_call_is_not_in_the_history(agent: Agent) -> None:
    agent.responder.update_history(RemoveFromHistory("call_1"))
    agent.add_user_message("Hello?")
    await agent.reply()

    assert agent.asked == [(UserMessage("Hello?"),)]
    assert not any(isinstance(turn, AssistantMessage) for turn in agent.asked[0])


def test_only_changed_prompts_and_tools_are_returned() -> None:
    workers = Workers(1)
    speech = ScriptedSpeech({}, echo)
    responder = Responder(speech, workers, SpeechSynthesizer(speech, workers))
    first = configured(system_prompt="Be brief.")

    context = responder.configure(first)
    assert context is not None
    assert context.prompt == "Be brief."
    assert responder.configure(first) is None
    assert responder.configure(configured(system_prompt="Be long.")) is not None
    workers.close()
