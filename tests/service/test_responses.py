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
    brief: AgentContext, history: Sequence[HistoryMessage]
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
        self.speaking = Responder(self.speech, self.workers, synthesizer)
        self.speaking.configure(configured(output={"type": "text"}))
        self._said: list[str] = []
        self._done = asyncio.Event()

    def post(self, event: ServerEvent) -> None:
        if isinstance(event, ClauseStarted):
            self._said.append(event.text)
        if isinstance(event, ReplyFinished):
            self._done.set()

    async def reply(self, **wanted: Any) -> tuple[str, bool]:
        """Return what a reply says, and whether it had been begun before."""
        self._said.clear()
        self._done.clear()
        guessed = self.speaking.start(StartReply("resp_1", **wanted), self.post)
        async with asyncio.timeout(10):
            await self._done.wait()
        return " ".join(self._said), guessed

    def hear(self, text: str) -> None:
        self.speaking.update_history(AppendHistory(TranscriptUser(text)))

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
    made.speaking.close()
    made.workers.close()


async def test_a_right_guess_is_the_reply(agent: Agent) -> None:
    agent.speaking.speculate("Hello?")
    agent.hear("Hello?")

    assert await agent.reply() == ("You say Hello?", True)
    assert len(agent.asked) == 1


async def test_a_wrong_guess_is_not_heard(agent: Agent) -> None:
    agent.speaking.speculate("Hell")
    agent.hear("Hello?")

    assert await agent.reply() == ("You say Hello?", False)


async def test_a_guess_that_is_doubted_is_void(agent: Agent) -> None:
    agent.speaking.speculate("Hello?")
    agent.speaking.cancel_speculation()
    agent.hear("Hello?")

    assert (await agent.reply())[1] is False


async def test_the_same_guess_twice_is_thought_once(agent: Agent) -> None:
    agent.speaking.speculate("Hello?")
    agent.speaking.speculate("Hello?")
    agent.hear("Hello?")
    await agent.reply()

    assert len(agent.asked) == 1


async def test_what_changed_since_a_guess_makes_it_void(agent: Agent) -> None:
    agent.speaking.speculate("Hello?")
    agent.speaking.update_history(
        AppendHistory(ConversationMessage("system", "Be rude."))
    )
    agent.hear("Hello?")

    assert (await agent.reply())[1] is False
    assert agent.asked[-1] == (SystemMessage("Be rude."), UserMessage("Hello?"))


async def test_new_settings_make_a_guess_void(agent: Agent) -> None:
    agent.speaking.speculate("Hello?")
    agent.speaking.configure(
        configured(output={"type": "text"}, system_prompt="Other.")
    )
    agent.hear("Hello?")

    assert (await agent.reply())[1] is False


async def test_a_greeting_is_said_without_asking_the_mind(agent: Agent) -> None:
    assert await agent.reply(say="Hi. Who are you?") == ("Hi. Who are you?", False)
    assert agent.asked == []


async def test_instructions_hold_for_one_reply(agent: Agent) -> None:
    agent.hear("Hello?")
    await agent.reply(instructions="Say bye.", unasked=True)
    agent.hear("What?")
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
    agent.speaking.update_history(AppendHistory(TranscriptUser("Look it up.")))
    agent.speaking.update_history(AppendHistory(ToolCall("c", "look")))

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
    agent.speaking.update_history(RemoveFromHistory("call_1"))
    agent.hear("Hello?")
    await agent.reply()

    assert agent.asked == [(UserMessage("Hello?"),)]
    assert not any(isinstance(turn, AssistantMessage) for turn in agent.asked[0])


def test_only_changed_prompts_and_tools_are_returned() -> None:
    workers = Workers(1)
    speech = ScriptedSpeech({}, echo)
    speaking = Responder(speech, workers, SpeechSynthesizer(speech, workers))
    first = configured(system_prompt="Be brief.")

    brief = speaking.configure(first)
    assert brief is not None
    assert brief.prompt == "Be brief."
    assert speaking.configure(first) is None
    assert speaking.configure(configured(system_prompt="Be long.")) is not None
    workers.close()
