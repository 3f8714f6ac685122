"""A call of an independent client with the local service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from runner.config.model import LlmConfig, LocalConfig
from runner.service.app import LocalService
from runner.speech.interfaces import (
    AgentContext,
    HistoryMessage,
    ModelOutput,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
)
from runner.speech.loader import load_speech
from tests.bare_client import BareClient
from tests.service.scripted import Caller, ScriptedSpeech

pytestmark = pytest.mark.slow

WEATHER = 500.0
THANKS = 1500.0
SESSION = {
    "system_prompt": "You talk about the weather.",
    "greeting": "Hi.",
    "output": {"voice": "ivy"},
    "tools": [
        {
            "type": "function",
            "name": "get_weather",
            "description": "Get the weather of a place.",
            "parameters": {
                "type": "object",
                "properties": {"location": {"type": "string"}},
                "required": ["location"],
            },
        }
    ],
}

QUESTION = "Where is my order 1234?"
SHOP = {
    "system_prompt": "You are the phone agent of Acme, a shop for tools. Be brief.",
    "greeting": "Hello, this is Acme.",
    "tools": [
        {
            "type": "function",
            "name": "lookup_order",
            "description": "Look up where an order is.",
            "parameters": {
                "type": "object",
                "properties": {"order_id": {"type": "string"}},
                "required": ["order_id"],
            },
        }
    ],
}


def decide(
    brief: AgentContext, history: Sequence[HistoryMessage]
) -> Iterable[ModelOutput]:
    del brief
    match history[-1]:
        case ToolMessage(result=str()):
            yield TextChunk("It is 22 degrees in Tokyo.")
        case _ if len(history) > 4:
            yield TextChunk("You are welcome.")
        case _:
            yield ToolCallRequest("get_weather", {"location": "Tokyo"})


async def test_a_client_written_from_the_tutorial_holds_a_call_with_a_tool() -> None:
    lines = {WEATHER: "What is the weather in Tokyo?", THANKS: "Thank you."}
    speech = ScriptedSpeech(lines, decide)
    asked: list[str] = []

    def get_weather(location: str) -> dict[str, int]:
        asked.append(location)
        return {"temp_c": 22}

    client, caller = BareClient({"get_weather": get_weather}), Caller()
    async with asyncio.timeout(30), LocalService(speech) as server:
        call = asyncio.create_task(client.run(server.url, SESSION, caller.frames()))
        await client.until(lambda c: c.replies_done == 1)
        caller.whistle(WEATHER)
        await client.until(lambda c: c.replies_done == 3)
        caller.whistle(THANKS)
        await client.until(lambda c: c.replies_done == 4)
        caller.hang_up()
        await call

    assert asked == ["Tokyo"]
    assert client.agent_said == [
        "Hi.",
        "Let me check that.",
        "It is 22 degrees in Tokyo.",
        "You are welcome.",
    ]
    assert len(client.speaker) > 2 * 24_000


@pytest.mark.speech
async def test_it_holds_a_call_with_real_stt_llm_and_tts() -> None:
    speech = load_speech(LocalConfig(llm=LlmConfig(name="qwen-0.5b")))
    missing = await asyncio.to_thread(speech.missing)
    if missing:
        pytest.skip(f"not here: {', '.join(part.part for part in missing)}")
    asked: list[str] = []

    def lookup_order(order_id: str) -> dict[str, str]:
        asked.append(order_id)
        return {"status": "shipped", "arrives": "Friday"}

    client, caller = BareClient({"lookup_order": lookup_order}), Caller()
    # Models on a busy machine take their time; the test is about words, not speed.
    async with asyncio.timeout(240), LocalService(speech) as server:
        call = asyncio.create_task(client.run(server.url, SHOP, caller.frames()))
        await client.until(lambda c: c.replies_done == 1)
        caller.say(b"".join(speech.synthesizer().synthesize(QUESTION, lambda: False)))
        await client.until(lambda c: c.replies_done == 3)
        caller.hang_up()
        await call
    speech.close()

    assert asked == ["1234"]
    assert client.agent_said[0] == "Hello, this is Acme."
    assert len(client.agent_said) == 3
    assert client.types("input.speech.started", "transcript.user", "tool.call") == [
        "input.speech.started",
        "transcript.user",
        "tool.call",
    ]
