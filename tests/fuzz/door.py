"""Mutated messages, frames and handshakes for the local service."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from runner.service.app import LocalService
from runner.speech.interfaces import (
    AgentContext,
    HistoryMessage,
    ModelOutput,
    TextChunk,
    ToolCallRequest,
)
from tests.fuzz.codec import FROM_CLIENT, UPDATE
from tests.fuzz.codec import inputs as messages
from tests.fuzz.mutilation import Mutilator
from tests.service.scripted import ScriptedSpeech

MESSAGES_A_LINE = 40
ANSWER_SECONDS = 20.0


def think(
    brief: AgentContext, history: Sequence[HistoryMessage]
) -> Iterable[ModelOutput]:
    if brief.tools and len(history) % 2:
        yield ToolCallRequest("look", {"at": "it"})
    yield TextChunk("It is here.")


class DoorCheck:
    """Sends messages over many connections and checks that the server still works."""

    def __init__(self, server: LocalService, mutilator: Mutilator) -> None:
        self.sent = 0
        self._server = server
        self._mutilator = mutilator
        self._random = mutilator.random
        self._messages = messages(mutilator)

    async def one_line(self) -> None:
        """Opens a connection and sends mutated data on it."""
        match self._random.randrange(12):
            case 0:
                await self._speak_raw()
            case 1:
                await self._shake_hands_badly()
            case _:
                await self._speak()

    async def _speak(self) -> None:
        try:
            socket = await websockets.connect(self._server.url, compression=None)
        except (InvalidHandshake, OSError):
            raise AssertionError("the door does not open any more") from None
        reading = asyncio.create_task(_read_all(socket))
        is_cut = self._random.random() < 0.3
        sent: list[Any] = []
        try:
            if self._random.random() < 0.8:
                first = json.dumps({"type": "session.update", "session": UPDATE})
                await socket.send(first)
            for data in self._script():
                self.sent += 1
                sent.append(data)
                await socket.send(data)
            if is_cut:
                socket.transport.abort()
            else:
                await socket.send('{"type":"session.end"}')
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.shield(reading)  # every end is answered with a close
        except ConnectionClosed:
            pass
        finally:
            await socket.close()
            await reading
        expected = {1000, 1007, 1008, 1009} | ({None, 1006} if is_cut else set())
        assert socket.close_code in expected, (
            f"the server tripped ({socket.close_code}) over {sent}"
        )

    def _script(self) -> Iterator[str | bytes | list[str]]:
        rand = self._random
        for _ in range(rand.randint(1, MESSAGES_A_LINE)):
            data: str | bytes = next(self._messages)
            if rand.random() < 0.4:
                data = rand.choice(FROM_CLIENT)
            if isinstance(data, str):
                data = data.encode("utf-8", "replace").decode()
                if rand.random() < 0.2:
                    at = rand.randint(0, len(data))
                    yield [data[:at], "", data[at:]]
                    continue
            yield data

    async def _speak_raw(self) -> None:
        """Sends invalid or unexpected frames after a valid handshake."""
        address = urlsplit(self._server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(_handshake(address.path))
        frames = (
            b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",  # an excessive length
            b"\x81\xfe\x00\x05abcd",  # masked, cut short
            b"\x83\x80abcd",  # an unknown opcode
            b"\x80\x80abcd",  # a continuation of nothing
            b"\x01\x80abcd\x01\x80abcd",  # two starts of a message
            b"\x89\xfe\x00\xffabcd" + bytes(255),  # a ping that is too long
            b"\x88\x81abcdx",  # a close with half a code
            b"\x81\x82\0\0\0\0\xff\xfe",  # text that is not UTF-8
            self._mutilator.bytes(300),
        )
        self.sent += 1
        writer.write(self._random.choice(frames))
        await _finish(reader, writer)

    async def _shake_hands_badly(self) -> None:
        address = urlsplit(self._server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        hello = _handshake(address.path).decode()
        self.sent += 1
        spoiled = self._mutilator.text(hello, [hello])
        writer.write(spoiled.encode("utf-8", "surrogatepass"))
        await _finish(reader, writer)

    async def check_health(self) -> None:
        """Asserts that a valid session is served."""
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            websockets.connect(self._server.url) as socket,
        ):
            await socket.send(json.dumps({"type": "session.update", "session": UPDATE}))
            while True:
                answer: Mapping[str, Any] = json.loads(await socket.recv())
                if answer["type"] == "reply.done":
                    break
            await socket.send('{"type":"session.end"}')
            async for text in socket:
                if json.loads(text)["type"] == "session.ended":
                    return
        raise AssertionError("the session was not ended")


async def _read_all(socket: websockets.ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for text in socket:
            json.loads(text)


async def _finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(ANSWER_SECONDS):
            await reader.read()
    writer.close()


def _handshake(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: k\r\n\r\n"
    ).encode()


async def attack(
    count: int, seed: int, reports: list[tuple[str, Mapping[str, Any]]]
) -> int:
    """Sends at least `count` messages; returns how many were sent.

    The reports of the server are appended to `reports`.
    """
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: reports.append(("vagent.bug", context))
    )
    speech = ScriptedSpeech({500.0: "Where is it?"}, think)
    server = LocalService(
        speech,
        max_sessions=50,
        report=lambda kind, facts: reports.append((kind, facts)),
    )
    async with server:
        check = DoorCheck(server, Mutilator(seed))
        rounds = 0
        while check.sent < count:
            await asyncio.gather(*(check.one_line() for _ in range(4)))
            rounds += 1
            if rounds % 50 == 0:
                await check.check_health()
        await check.check_health()
    return check.sent
