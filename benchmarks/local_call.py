"""How long a caller waits: end of speech to first audio, over spoken requests.

    python benchmarks/local_call.py [--llm qwen-0.5b ...] [--json FILE]
                                    [--count N] [--load N]

A child process serves with the real models; this process is a client of the wire that
speaks requests in real time with the local voice and measures from the last audible
sample it sent to the first audible sample it received. Nothing is taken from the
server's own account but the columns that explain the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import websockets

from runner.audio.pcm import to_samples
from runner.config.model import LlmConfig, LocalConfig
from runner.protocol.codec import decode_server, encode
from runner.protocol.messages import (
    InputAudio,
    ReplyAudio,
    ReplyDone,
    ServerMessage,
    SessionEnd,
    SessionReady,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptUser,
)
from runner.service.subprocess import run_local_service
from runner.speech.loader import load_synthesizer

AUDIBLE = 0.01  # of full scale: -40 dB
FRAME = 2_400  # bytes: 50 ms at 24 kHz
GIVE_UP = 120.0  # seconds: on a busy machine small models take their time
PAUSE = 0.7  # seconds between an answer and the next request


def function(name: str, description: str, **parameters: str) -> Mapping[str, Any]:
    """Return a tool as the wire has it; all parameters are required strings."""
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": {
                key: {"type": "string", "description": text}
                for key, text in parameters.items()
            },
            "required": list(parameters),
        },
    }


@dataclass(frozen=True)
class Agent:
    """What is called, what the caller says, and what the tools answer."""

    prompt: str
    tools: Sequence[Mapping[str, Any]]
    requests: Sequence[str]
    results: Mapping[str, Any]


AGENTS = (
    Agent(
        "You are the phone agent of Acme, a shop for tools. Be brief.",
        (
            function(
                "lookup_order",
                "Look up where an order is.",
                order_id="Number of the order",
            ),
            function(
                "get_weather",
                "Get the current weather in a city.",
                location="Name of the city",
            ),
        ),
        (
            "Hello there.",
            "Where is my order 1234?",
            "What is the weather in Tokyo?",
            "And what is it like in Paris?",
            "Thank you very much.",
        ),
        {
            "lookup_order": {"status": "shipped", "arrives": "Friday"},
            "get_weather": {"sky": "sunny", "temperature": "22 degrees"},
        },
    ),
    Agent(
        "You take reservations for the restaurant Mirabelle. Be brief and friendly.",
        (
            function(
                "book_table",
                "Book a table.",
                people="How many people",
                time="Time of day",
            ),
            function("get_menu", "Get the dishes of a day.", day="Day of the week"),
        ),
        (
            "Good evening, who am I talking to?",
            "I would like a table for four people at seven.",
            "What is on the menu on Friday?",
            "That sounds very nice.",
        ),
        {"book_table": {"confirmed": True}, "get_menu": {"dishes": ["soup", "fish"]}},
    ),
    Agent(
        "You control the lights and the heating of a house. Be brief.",
        (
            function("set_light", "Switch a light.", room="Room", state="on or off"),
            function("set_heating", "Set the heating.", degrees="Degrees Celsius"),
        ),
        (
            "Hi, can you hear me?",
            "Please turn on the light in the kitchen.",
            "Set the heating to 21 degrees.",
            "Turn off the light in the bedroom, please.",
            "Thanks, that is all.",
        ),
        {"set_light": {"ok": True}, "set_heating": {"ok": True}},
    ),
)


@dataclass
class Request:
    """One spoken request and what came of it; times in seconds."""

    words: str
    heard: str = ""
    wait: float | None = None
    tools: list[str] = field(default_factory=list)


class Call:
    """A caller with a clock, on one session."""

    def __init__(self, socket: Any, agent: Agent, speech: Mapping[str, bytes]) -> None:
        self._socket = socket
        self._agent = agent
        self._speech = speech
        self._saying = b""
        self._silent_since = 0.0
        self._request: Request | None = None
        self._last_sound = 0.0
        self._open_replies = 0
        self._results: list[ToolResult] = []

    async def hold(self) -> list[Request]:
        """Say all requests, one after the other's answer."""
        session = {"system_prompt": self._agent.prompt, "tools": self._agent.tools}
        await self._send(SessionUpdate(session))
        while not isinstance(await self._receive(), SessionReady):
            pass
        async with asyncio.TaskGroup() as tasks:
            talking = tasks.create_task(self._talk())
            listening = tasks.create_task(self._listen())
            # The mind reads the prompt in the meantime, as it does under a greeting.
            await asyncio.sleep(6.0)
            done = [await self._ask(words) for words in self._agent.requests]
            talking.cancel()
            listening.cancel()
        await self._send(SessionEnd())
        return done

    async def _ask(self, words: str) -> Request:
        self._request = request = Request(words)
        self._saying = self._speech[words]
        deadline = time.perf_counter() + GIVE_UP
        while time.perf_counter() < deadline:
            await asyncio.sleep(0.05)
            quiet = time.perf_counter() - self._last_sound > PAUSE
            if request.wait is not None and not self._open_replies and quiet:
                return request
        return request

    async def _talk(self) -> None:
        due = time.perf_counter()
        while True:
            frame, self._saying = self._saying[:FRAME], self._saying[FRAME:]
            await self._send(InputAudio(frame.ljust(FRAME, b"\0")))
            if frame:
                # The requests end with their last audible sample.
                self._silent_since = due + len(frame) / 48_000
            due += FRAME / 48_000
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _listen(self) -> None:
        while True:
            message = await self._receive()
            match message:
                case ReplyAudio(pcm=pcm):
                    self._hear(pcm)
                case TranscriptUser(text=text) if self._request is not None:
                    self._request.heard = text
                    self._open_replies += 1
                case ToolCall(call_id=call_id, name=name):
                    if self._request is not None:
                        self._request.tools.append(name)
                    result = json.dumps(self._agent.results[name])
                    self._results.append(ToolResult(call_id, result))
                case ReplyDone():
                    await self._answer_calls()
                case _:
                    pass

    def _hear(self, pcm: bytes) -> None:
        now = time.perf_counter()
        if np.abs(to_samples(pcm)).max(initial=0.0) < AUDIBLE:
            return
        self._last_sound = now
        request = self._request
        if request is not None and request.wait is None and not self._saying:
            request.wait = now - self._silent_since

    async def _answer_calls(self) -> None:
        self._open_replies = 1 if self._results else 0
        for result in self._results:
            await self._send(result)
        self._results.clear()

    async def _send(self, message: Any) -> None:
        await self._socket.send(encode(message))

    async def _receive(self) -> ServerMessage:
        return decode_server(await self._socket.recv())


def first_agents(count: int | None) -> list[Agent]:
    """Return the agents with the first requests, so many of all."""
    agents: list[Agent] = []
    for agent in AGENTS:
        requests = agent.requests[:count]
        if requests:
            agents.append(replace(agent, requests=requests))
        if count is not None:
            count -= len(requests)
    return agents


def spoken_requests(agents: Sequence[Agent]) -> dict[str, bytes]:
    """Return every request as PCM that begins and ends with an audible sample."""
    voice = load_synthesizer(LocalConfig())
    speech = {}
    for agent in agents:
        for words in agent.requests:
            pcm = b"".join(voice.synthesize(words, lambda: False))
            audible = np.flatnonzero(np.abs(to_samples(pcm)) > AUDIBLE)
            speech[words] = pcm[2 * audible[0] : 2 * audible[-1] + 2]
    return speech


async def measure(
    llm: str, agents: Sequence[Agent], speech: Mapping[str, bytes]
) -> list[Request]:
    """Holds all calls with one language model."""
    done: list[Request] = []
    async with run_local_service(LocalConfig(llm=LlmConfig(name=llm))) as url:
        for agent in agents:
            async with websockets.connect(url, compression=None) as socket:
                done += await Call(socket, agent, speech).hold()
    return done


def show(llm: str, requests: Sequence[Request]) -> None:
    """Prints a table of the figures of one language model."""
    print(f"\n{llm} ({os.cpu_count()} cores)")
    for request in requests:
        wait = "none" if request.wait is None else f"{request.wait:.2f} s"
        tools = ", ".join(request.tools)
        print(f"  {wait:>7}  {request.words:<52} {tools}")
        if request.heard.strip(".!? ").lower() != request.words.strip(".!? ").lower():
            print(f"           heard: {request.heard}")
    waits = sorted(request.wait for request in requests if request.wait is not None)
    if not waits:
        raise SystemExit(f"  0 of {len(requests)} answered")
    p90 = waits[math.ceil(0.9 * len(waits)) - 1]
    print(
        f"  median {statistics.median(waits):.2f} s, p90 {p90:.2f} s, "
        f"best {waits[0]:.2f} s, worst {waits[-1]:.2f} s, "
        f"{len(waits)} of {len(requests)} answered"
    )


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Runs processes that each keep a core busy."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for each in processes:
            each.kill()
            each.wait()


def main() -> None:
    """Measures each language model and prints a table of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", action="append", help="default: both bundled ones")
    parser.add_argument("--json", type=argparse.FileType("w"), help="figures as JSON")
    parser.add_argument("--count", type=int, help="of requests; default: all")
    parser.add_argument(
        "--load", type=int, default=0, help="busy processes next to the service"
    )
    options = parser.parse_args()
    agents = first_agents(options.count)
    speech = spoken_requests(agents)
    figures = {}
    for llm in options.llm or ("qwen-1.5b", "qwen-0.5b"):
        with busy_processes(options.load):
            requests = asyncio.run(measure(llm, agents, speech))
        show(llm, requests)
        figures[llm] = [asdict(request) for request in requests]
    if options.json:
        json.dump(figures, options.json, indent=1)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
