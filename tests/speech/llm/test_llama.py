"""The real small model: the demo's own conversation, and how it is stopped."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.config.model import LlmConfig
from runner.errors import SpeechError
from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    ModelOutput,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm import load_llm
from runner.speech.llm.prompt import GOODBYE

if TYPE_CHECKING:
    from runner.speech.interfaces import LanguageModel
    from runner.speech.llm.llama import LlamaModel

pytestmark = pytest.mark.speech
TOOLS: list[dict[str, Any]] = [
    {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "City"}},
            "required": ["location"],
        },
    },
    {
        "name": "lookup_order",
        "description": "Look up the state of an order by its number.",
        "parameters": {
            "type": "object",
            "properties": {
                "order_id": {
                    "type": "string",
                    "description": "The number of the order, four digits",
                    "pattern": "[0-9]{4}",
                }
            },
            "required": ["order_id"],
        },
    },
    {
        "name": "end_call",
        "description": "Hang up after saying goodbye, when the caller is done.",
    },
]
CONTEXT = AgentContext(
    "You are the phone agent of Acme. Be context. Use get_weather for the weather and "
    "lookup_order for orders. When the caller needs nothing more, use end_call.",
    TOOLS,
)
GREETING = AssistantMessage("Hi, this is Acme. How can I help?")


def weights() -> Path:
    pytest.importorskip("xllamacpp")
    from runner.speech.models import open_model_store

    standing = open_model_store().status("qwen-0.5b")
    if not standing.present:
        pytest.skip(f"no weights of qwen-0.5b: {standing.problem}")
    return standing.path


@pytest.fixture(scope="module")
def llm() -> Iterator[LanguageModel]:
    path = weights()
    llm = load_llm(LlmConfig(name="qwen-0.5b"), lambda _: path)
    llm.warm(CONTEXT)
    yield llm
    llm.close()


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaModel]:
    from runner.speech.llm.llama import LlamaModel

    model = LlamaModel(weights())
    yield model
    model.close()


def respond(llm: LanguageModel, *history: HistoryMessage) -> list[ModelOutput]:
    return list(llm.respond(CONTEXT, [GREETING, *history], lambda: False))


@pytest.mark.parametrize(
    "said",
    [
        "Where is my order twelve thirty four?",
        "Where is my order 1234?",
        "Where is my order 12-34?",
        "Where is my order 12 34?",
    ],
)
def test_the_demos_order_is_looked_up(llm: LanguageModel, said: str) -> None:
    call = ToolCallRequest("lookup_order", {"order_id": "1234"})
    assert respond(llm, UserMessage(said)) == [call]


def test_the_call_of_the_demo_works_to_its_end(llm: LanguageModel) -> None:
    history: list[HistoryMessage] = [UserMessage("What's the weather in Tokyo?")]
    assert respond(llm, *history) == [
        ToolCallRequest("get_weather", {"location": "Tokyo"})
    ]
    result = '{"location": "Tokyo", "temperature_c": 18, "sky": "light rain"}'
    history.append(ToolMessage("c1", "get_weather", {"location": "Tokyo"}, result))
    answer = speech(respond(llm, *history))
    assert "18" in answer and "rain" in answer
    history += [AssistantMessage(answer), UserMessage("Where is my order 12 34?")]
    assert respond(llm, *history) == [
        ToolCallRequest("lookup_order", {"order_id": "1234"})
    ]
    result = '{"order_id": "1234", "status": "shipped", "arrives": "Thursday"}'
    history.append(ToolMessage("c2", "lookup_order", {"order_id": "1234"}, result))
    answer = speech(respond(llm, *history))
    assert "shipped" in answer and "Thursday" in answer
    history += [AssistantMessage(answer), UserMessage("No thanks, goodbye.")]
    assert respond(llm, *history) == [TextChunk(GOODBYE), ToolCallRequest("end_call")]


def test_small_talk_gets_speech_and_no_tool_call(llm: LanguageModel) -> None:
    assert speech(respond(llm, UserMessage("Hello, how are you?")))


def test_two_threads_can_use_the_model_at_once(llm: LanguageModel) -> None:
    cities = ("Tokyo", "Paris", "Oslo")
    answers: dict[str, list[ModelOutput]] = {}

    def ask(city: str) -> None:
        said = UserMessage(f"What's the weather in {city}?")
        answers[city] = respond(llm, said)

    threads = [threading.Thread(target=ask, args=(city,)) for city in cities]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {
        c: [ToolCallRequest("get_weather", {"location": c})] for c in cities
    }


def test_generation_stops_when_it_is_cancelled(model: LlamaModel) -> None:
    cancel = threading.Event()
    pieces = model.write(
        [{"role": "user", "content": "Count from one to fifty in words."}],
        grammar="root ::= [a-z, ]{300,400}",
        max_tokens=400,
        cancelled=cancel.is_set,
    )
    next(pieces)
    cancel.set()
    assert list(pieces) == []


def test_a_conversation_that_does_not_fit_is_a_clear_error(model: LlamaModel) -> None:
    pieces = model.write(
        [{"role": "user", "content": "word " * 9_000}],
        grammar="root ::= [a-z]{1,9}",
        max_tokens=5,
        cancelled=lambda: False,
    )
    with pytest.raises(SpeechError, match="context"):
        list(pieces)


def test_the_engine_prints_nothing() -> None:
    # A process of its own, because the engine writes to the file descriptors.
    code = (
        "import sys; from pathlib import Path\n"
        "from runner.speech.llm.llama import LlamaModel\n"
        "model = LlamaModel(Path(sys.argv[1]))\n"
        "hello = [{'role': 'user', 'content': 'Hello.'}]\n"
        "for _ in model.write(hello, grammar='root ::= [a-z]{1,9}', max_tokens=3,\n"
        "                     cancelled=lambda: False): pass\n"
        "model.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(weights())], capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def speech(output: list[ModelOutput]) -> str:
    assert output and all(isinstance(part, TextChunk) for part in output)
    return " ".join(t.text for t in output if isinstance(t, TextChunk))
