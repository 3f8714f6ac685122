"""Mutated messages for the codec and both state machines, without a socket."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from runner.errors import RemoteProtocolError
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import Connected, MalformedMessage
from runner.protocol.client.events import Received as ClientReceived
from runner.protocol.client.session import ClientSession
from runner.protocol.codec import decode_client, decode_server, encode
from runner.protocol.messages import (
    ConversationMessage,
    InputAudio,
    InputSpeechStarted,
    ReplyAudio,
    ReplyCancel,
    ReplyCreate,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    SessionUpdated,
    ToolCall,
    ToolResult,
    TranscriptAgentDelta,
    TranscriptUser,
)
from runner.protocol.server.events import Malformed, Received, Send
from runner.protocol.server.session import ServerSession
from tests.fuzz.mutilation import Mutilator

TOOL = {
    "type": "function",
    "name": "look",
    "description": "Look.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
}
UPDATE = {
    "system_prompt": "Be brief.",
    "greeting": "Hello.",
    "input": {
        "keyterms": ["Acme"],
        "turn_detection": {"vad_threshold": 0.5, "min_silence": 200},
        "format": {"encoding": "audio/pcm", "sample_rate": 24_000},
    },
    "output": {"voice": "alba", "volume": 80},
    "tools": [TOOL],
}
FROM_CLIENT = [
    encode(SessionUpdate(UPDATE)),
    encode(SessionUpdate({"tools": [TOOL]})),
    encode(SessionUpdate({"output": {"volume": 5}})),
    encode(SessionResume("sess_1")),
    encode(SessionEnd()),
    encode(InputAudio(bytes(64))),
    encode(ToolResult("call_1", '{"a": 1}', True)),
    encode(ReplyCreate("Say hello.")),
    encode(ReplyCancel("resp_3")),
    encode(ConversationMessage("user", "Hello.")),
]
FROM_SERVER = [
    encode(SessionUpdated({"id": "s"}, 1.0)),
    encode(SessionReady("s", {"id": "s"}, 5, "t", 1.0)),
    encode(SessionError("x", "why", "p", "s", 1.0)),
    encode(SessionEnded(1.0, None, 1.0)),
    encode(InputSpeechStarted(1.0)),
    encode(TranscriptUser("Hello.", "m", 1.0)),
    encode(ReplyStarted("r", "m", 1.0)),
    encode(ReplyAudio(bytes(64), "r", 1.0)),
    encode(TranscriptAgentDelta("He", "r", "m", 0, 5, 1.0)),
    encode(ReplyDone("r", "completed", 1.0)),
    encode(ReplyError("r", "x", "why")),
    encode(ToolCall("c", "look", {"at": "it"}, 1.0)),
    '{"type":"tool.call","call_id":"c","name":"look","args":"{\\"at\\": 1}"}',
    '{"code":"at_capacity"}',
]
ALL = FROM_CLIENT + FROM_SERVER


def inputs(mutilator: Mutilator) -> Iterator[str | bytes]:
    """Yields mutated messages without end."""
    rand = mutilator.random
    while True:
        seed = rand.choice(ALL)
        kind = rand.random()
        if kind < 0.05:
            yield mutilator.bytes(200)
        elif kind < 0.10:
            yield mutilator.text(seed, ALL).encode("utf-8", "surrogatepass")
        elif kind < 0.55:
            yield mutilator.json(seed)
        else:
            yield mutilator.text(seed, ALL)


class CodecCheck:
    """Decodes and feeds inputs; raises if one fails."""

    def __init__(self) -> None:
        self._count = 0
        self._open()

    def _open(self) -> None:
        # Earlier inputs may have closed the sessions.
        numbers = itertools.count(1)
        self._server = ServerSession(lambda kind: f"{kind}_{next(numbers)}")
        self._client = ClientSession(ClientConfig(session=UPDATE))
        self._client.start(0.0)
        if self._count % 2:
            self._server.feed(Received(SessionUpdate(UPDATE)), 0.0)
            self._client.feed(Connected(), 0.0)
            self._client.feed(ClientReceived(SessionReady("s")), 0.0)

    def __call__(self, data: str | bytes) -> None:
        self._count += 1
        if self._count % 20 == 0:
            self._open()
        now = self._count / 100
        try:
            message: Any = decode_client(data)
        except RemoteProtocolError as error:
            answers = self._server.feed(Malformed(error), now)
        else:
            check_round_trip(message, decode_client)
            answers = self._server.feed(Received(message), now)
        for answer in answers:
            if isinstance(answer, Send):
                check_round_trip(answer.message, decode_server)
        try:
            message = decode_server(data)
        except RemoteProtocolError as error:
            self._client.feed(MalformedMessage(error.message), now)
        else:
            check_round_trip(message, decode_server)
            self._client.feed(ClientReceived(message), now)


def check_round_trip(message: Any, decode: Any) -> None:
    """Asserts that a message can be encoded as UTF-8 and decoded again."""
    text = encode(message)
    assert text.isprintable() or "\n" not in text, "one line a message"
    wire = text.encode("utf-8")
    assert decode(wire.decode("utf-8")) == message
