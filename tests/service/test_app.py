"""The local service through real sockets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets

from runner.errors import TransportError
from runner.service.app import LocalService, max_idle_connections
from runner.speech.interfaces import (
    AgentContext,
    HistoryMessage,
    MissingComponent,
    ModelOutput,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from tests.service.client import Client
from tests.service.scripted import ScriptedSpeech, whistle

ORDER, STOP = 500.0, 1500.0
LINES = {ORDER: "Where is my order?", STOP: "Stop that now, please."}
TOOL = {"type": "function", "name": "look", "description": "Look."}


def decide(
    context: AgentContext, history: Sequence[HistoryMessage]
) -> Iterable[ModelOutput]:
    match history[-1]:
        case UserMessage(text="Where is my order?") if context.tools:
            yield ToolCallRequest("look", {"at": "it"})
        case ToolMessage(result=str(result)):
            yield TextChunk(f"It says {result}.")
        case UserMessage(text=text):
            yield TextChunk(f"You said: {text}")
        case other:
            yield TextChunk(f"{type(other).__name__}.")


def sentence(pitch: float, seconds: float = 0.6) -> bytes:
    return bytes(9_600) + whistle(pitch, seconds) + bytes(48_000)


@asynccontextmanager
async def serving(
    speech: ScriptedSpeech | None = None, **options: Any
) -> AsyncIterator[LocalService]:
    async with (
        asyncio.timeout(20),
        LocalService(speech or ScriptedSpeech(LINES, decide), **options) as server,
    ):
        yield server


@asynccontextmanager
async def connected(
    server: LocalService, query: str = "", **options: Any
) -> AsyncIterator[Client]:
    async with websockets.connect(server.url + query, **options) as socket:
        yield Client(socket)


@asynccontextmanager
async def calling(speech: ScriptedSpeech | None = None) -> AsyncIterator[Client]:
    async with serving(speech) as server, connected(server) as client:
        yield client


# ------------------------------------------------------------------ connecting


async def test_the_server_is_silent_until_it_is_configured() -> None:
    async with calling() as client:
        await client.open()

    assert client.kinds() == ["session.updated", "session.ready"]
    updated, ready = client.seen
    assert updated["config"]["id"] == ready["session_id"]
    assert isinstance(ready["timestamp"], float)


@pytest.mark.parametrize(
    "options", [{}, {"additional_headers": {"Authorization": "x"}}]
)
async def test_a_wrong_key_is_reported_over_the_websocket(options: Any) -> None:
    async with serving(key="sk-1") as server, connected(server, **options) as client:
        error = await client.read()
        code = await client.closed()

    del error["timestamp"]
    assert error == {
        "type": "session.error",
        "code": "unauthorized",
        "message": "Authentication failed",
        "param": None,
        "session_id": None,
    }
    assert code == 1008


async def test_the_key_is_accepted_raw_as_bearer_and_as_token() -> None:
    async with serving(key="sk-1") as server:
        for authorization in ("sk-1", "Bearer sk-1"):
            headers = {"Authorization": authorization}
            async with connected(server, additional_headers=headers) as client:
                assert await client.open()
        address = server.url.replace("ws:", "http:").replace("/ws", "/token")
        async with httpx.AsyncClient() as http:
            answer = await http.get(
                address,
                params={"expires_in_seconds": 60},
                headers={"Authorization": "Bearer sk-1"},
            )
        assert answer.status_code == 200
        for _ in range(2):
            query = f"?token={answer.json()['token']}"
            async with connected(server, query) as client:
                assert await client.open()


async def test_other_paths_are_not_found() -> None:
    async with serving() as server, httpx.AsyncClient() as http:
        root = server.url.replace("ws:", "http:").removesuffix("/v1/ws")
        assert (await http.get(root + "/")).status_code == 404
        assert (await http.get(root + "/v1/token")).status_code == 422
        assert (await http.get(root + "/v1/ws")).status_code == 426


async def test_sessions_above_the_limit_are_refused() -> None:
    async with serving(max_sessions=1) as server:
        async with connected(server) as first, connected(server) as second:
            await first.open()
            await second.send("session.update", session={})
            assert (await second.read())["code"] == "at_capacity"
            assert await second.closed() == 1008
            await first.send("session.end")
            await first.until("session.ended")
        async with connected(server) as third:
            assert await third.open()


async def test_a_port_in_use_is_a_transport_error() -> None:
    async with serving() as server:
        port = int(server.url.split(":")[2].split("/")[0])
        speech = ScriptedSpeech(LINES, decide)
        with pytest.raises(TransportError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with LocalService(speech, port=port):
                pass


async def test_a_tool_that_holds_runs_without_a_word() -> None:
    async with calling() as client:
        await client.open(tools=[TOOL | {"execution_mode": "hold"}])
        await client.say(sentence(ORDER))
        call = await client.until("tool.call")
        assert "reply.started" not in client.kinds()
        await client.send("tool.result", call_id=call["call_id"], result="here")
        answer = await client.until("transcript.agent")

    assert answer["text"] == "It says here."
    assert client.kinds().count("reply.started") == 1


# ------------------------------------------------------------------------ bad input


async def test_the_local_voice_is_known_and_an_unknown_one_is_refused() -> None:
    async with serving() as server:
        async with connected(server) as client:
            ready = await client.open(output={"voice": "joe"})
            assert ready["config"]["output"]["voice"] == "joe"
        async with connected(server) as client:
            await client.send("session.update", session={"output": {"voice": "nobody"}})
            error = await client.read()
            assert (error["code"], error["param"]) == ("invalid_value", "output.voice")
            assert error["message"].endswith(", vera, joe")
            assert await client.closed() == 1008


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (b"\0\1", "invalid_audio", "Invalid audio data"),
        ("{", "invalid_format", "Invalid JSON format."),
        ('{"type":"dance"}', "invalid_format", "Unknown message type: dance"),
        (
            '{"type":"input.audio","audio":"?"}',
            "invalid_audio",
            "Invalid audio data",
        ),
        (
            '{"type":"tool.result","call_id":"x","result":{}}',
            "invalid_format",
            "Invalid message format for type 'tool.result'",
        ),
        ("[" * 100_000, "invalid_format", "Invalid JSON format."),
    ],
)
async def test_invalid_messages_are_answered_and_survived(
    data: str | bytes, code: str, text: str
) -> None:
    async with calling() as client:
        await client.open()
        await client.socket.send(data)
        error = await client.read()
        assert (error["code"], error["message"]) == (code, text)
        await client.send("session.end")
        await client.until("session.ended")
        assert await client.closed() == 1000


async def test_a_message_of_five_megabytes_closes_only_its_own_connection() -> None:
    async with serving() as server:
        # Exited explicitly: the library fails if it closes again after its own abort.
        client = Client(await websockets.connect(server.url))
        await client.open()
        await client.socket.send("x" * 5_000_000)
        assert await client.closed() == 1009
        async with connected(server) as other:
            assert await other.open()


# ------------------------------------------------------------------------- the call


async def test_a_spoken_request_is_answered_through_a_tool() -> None:
    async with calling() as client:
        await client.open(tools=[TOOL])
        await client.say(sentence(ORDER))
        call = await client.until("tool.call")
        await client.until("reply.done")
        await client.send("tool.result", call_id=call["call_id"], result='"sent"')
        await client.until("reply.done")

    assert call["arguments"] == {"at": "it"}
    kinds = [k for k in client.kinds() if k != "transcript.user.delta"]
    order = list(dict.fromkeys(kinds[2:]))
    assert order == [
        "input.speech.started",
        "input.speech.stopped",
        "transcript.user",
        "reply.started",
        "tool.call",
        "transcript.agent.delta",
        "reply.audio",
        "transcript.agent",
        "reply.done",
    ]
    said = [m["text"] for m in client.seen if m["type"] == "transcript.agent"]
    assert said == ["Let me check that.", 'It says "sent".']


async def test_audio_comes_in_chunks_of_ten_milliseconds() -> None:
    async with calling() as client:
        await client.open(greeting="Hello, hello.")
        await client.until("reply.done")

    sizes = {
        len(base64.b64decode(message["data"]))
        for message in client.seen
        if message["type"] == "reply.audio"
    }
    assert max(sizes) == 480


async def test_telephone_encodings_work_in_both_directions() -> None:
    from runner.audio.pcm import encode_mulaw

    telephone = {"format": {"encoding": "audio/pcmu"}}
    tone = whistle(ORDER, 0.6, 8_000)
    async with calling() as client:
        await client.open(input=telephone, output=telephone)
        await client.say(encode_mulaw(bytes(4_000) + tone + bytes(16_000)))
        assert (await client.until("transcript.user"))["text"] == LINES[ORDER]
        await client.until("reply.done")

    chunks = [m["data"] for m in client.seen if m["type"] == "reply.audio"]
    assert {len(base64.b64decode(data)) for data in chunks[:-1]} == {300}


async def test_long_enough_speech_interrupts_the_agent() -> None:
    async with calling() as client:
        greeting = "This is a long greeting that goes on and on for quite a while."
        await client.open(greeting=greeting)
        await client.until("reply.audio")
        await client.say(sentence(STOP, 1.0))
        await client.until("transcript.user")

    kinds = client.kinds()
    cut = kinds.index("input.speech.started")
    assert kinds[cut + 1 : cut + 3] == ["transcript.agent", "reply.done"]
    transcript, done = client.seen[cut + 1 : cut + 3]
    assert transcript["interrupted"]
    assert greeting.startswith(transcript["text"])
    assert len(transcript["text"]) < len(greeting)
    assert done["status"] == "interrupted"
    assert "reply.audio" not in kinds[cut:]


async def test_an_uninterruptible_reply_is_finished() -> None:
    async with calling() as client:
        detection = {"interrupt_response": False}
        await client.open(
            greeting="This takes a while to say.",
            input={"turn_detection": detection},
        )
        await client.until("reply.audio")
        await client.say(sentence(STOP, 1.0))
        done = await client.until("reply.done")

    assert done["status"] == "completed"
    assert "input.speech.started" not in client.kinds()


async def test_text_and_instructions_can_be_sent() -> None:
    async with calling() as client:
        await client.open()
        await client.send("conversation.message", role="user", content="I am Kim.")
        await client.send("reply.create")
        first = await client.until("transcript.agent")
        await client.until("reply.done")
        await client.send("reply.create", instructions="Say bye.")
        second = await client.until("transcript.agent")

    assert first["text"] == "You said: I am Kim."
    assert second["text"] == "SystemMessage."


async def test_parallel_calls_are_independent() -> None:
    async with serving(max_sessions=3) as server:

        async def call(word: str) -> str:
            async with connected(server) as client:
                await client.open(greeting=word)
                text: str = (await client.until("transcript.agent"))["text"]
                return text

        words = ["One.", "Two.", "Three."]
        assert await asyncio.gather(*map(call, words)) == words


# ------------------------------------------------------------- drops and the end


async def test_a_dropped_session_is_resumed_with_its_history() -> None:
    async with serving() as server:
        async with connected(server) as client:
            ready = await client.open()
            await client.send("conversation.message", role="user", content="I am Kim.")
            await client.send("session.update", session={"system_prompt": "x"})
            await client.until("session.updated")  # so the message has arrived
            client.socket.transport.abort()
        async with connected(server) as client:
            await client.send("session.resume", session_id=ready["session_id"])
            again = await client.read()
            await client.send("reply.create")
            said = await client.until("transcript.agent")

    assert again["type"] == "session.ready"
    assert again["session_id"] == ready["session_id"]
    assert again["resume_token"] != ready["resume_token"]
    assert said["text"] == "You said: I am Kim."


async def test_a_resume_token_replaces_the_key() -> None:
    async with serving(key="sk-1") as server:
        headers = {"Authorization": "sk-1"}
        async with connected(server, additional_headers=headers) as client:
            ready = await client.open()
            client.socket.transport.abort()
        headers = {"Authorization": f"Bearer {ready['resume_token']}"}
        async with connected(server, additional_headers=headers) as client:
            await client.send("session.resume", session_id=ready["session_id"])
            assert (await client.read())["type"] == "session.ready"


@pytest.mark.parametrize("key", [None, "sk-1"])
@pytest.mark.parametrize("way", ["header", "query"])
async def test_the_resume_token_moves_a_connected_session(
    key: str | None, way: str
) -> None:
    sent: Any = {"additional_headers": {"Authorization": f"Bearer {key}"}}
    async with serving(key=key) as server, connected(server, **sent) as old:
        ready = await old.open()
        token = ready["resume_token"]
        query, options = "", {"additional_headers": {"Authorization": token}}
        if way == "query":
            query, options = f"?token={token}", {}
        async with connected(server, query, **options) as new:
            await new.send("session.resume", session_id=ready["session_id"])
            assert (await new.read())["session_id"] == ready["session_id"]
            await old.closed()
            await new.send("reply.create")
            assert await new.until("transcript.agent")


@pytest.mark.parametrize("key", [None, "sk-1"])
async def test_a_connected_session_cannot_be_taken_by_its_id(key: str | None) -> None:
    sent: Any = {"additional_headers": {"Authorization": f"Bearer {key}"}}
    async with serving(key=key) as server, connected(server, **sent) as owner:
        ready = await owner.open()
        async with connected(server, **sent) as thief:
            await thief.send("session.resume", session_id=ready["session_id"])
            error = await thief.read()
            assert (error["code"], await thief.closed()) == ("session_forbidden", 1008)
        await owner.send("reply.create")
        assert await owner.until("transcript.agent")


async def test_idle_connections_do_not_lock_out_a_client() -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(max_sessions=1))
        owner = await stack.enter_async_context(connected(server))
        await owner.open()
        idle = []
        for _ in range(max_idle_connections() + 3):
            idle.append(await stack.enter_async_context(connected(server)))
        await idle[0].closed()
        await owner.send("session.end")
        await owner.until("session.ended")
        await owner.closed()
        client = await stack.enter_async_context(connected(server))
        assert await client.open()


async def test_wrong_keys_do_not_delay_clients_with_the_right_one() -> None:
    good: Any = {"additional_headers": {"Authorization": "sk-1"}}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(key="sk-1"))
        guesses = [
            await stack.enter_async_context(connected(server, "?token=x"))
            for _ in range(4)
        ]
        client = await stack.enter_async_context(connected(server, **good))
        answered = asyncio.create_task(guesses[-1].read())
        assert await client.open()
        assert not answered.done()
        assert (await answered)["code"] == "unauthorized"


async def test_an_unknown_session_is_not_found() -> None:
    async with calling() as client:
        await client.send("session.resume", session_id="sess_x")
        assert (await client.read())["code"] == "session_not_found"
        assert await client.closed() == 1008


async def test_an_ended_session_cannot_be_resumed() -> None:
    async with serving() as server:
        async with connected(server) as client:
            ready = await client.open()
            await client.send("session.end")
            ended = await client.until("session.ended")
            assert await client.closed() == 1000
        async with connected(server) as client:
            await client.send("session.resume", session_id=ready["session_id"])
            assert (await client.read())["code"] == "session_not_found"

    assert ended["session_duration_seconds"] >= 0
    assert ended["audio_duration_seconds"] is None


async def test_a_service_that_stops_ends_its_sessions() -> None:
    async with asyncio.timeout(20):
        server = LocalService(ScriptedSpeech(LINES, decide))
        await server.__aenter__()
        async with connected(server) as client:
            await client.open()
            leaving = asyncio.create_task(server.__aexit__(None, None, None))
            assert (await client.read())["type"] == "session.ended"
            assert await client.closed() == 1000
            await leaving


# -------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("fail", "code"),
    [("think", "llm_provider_error"), ("speak", "internal_error")],
)
async def test_a_failing_component_fails_one_reply_and_not_the_session(
    fail: str, code: str
) -> None:
    class Voice:
        def synthesize(
            self, text: str, cancelled: Callable[[], bool]
        ) -> Iterator[bytes]:
            if fail == "speak" and "good" in text:
                raise RuntimeError("broken")
            yield whistle(440, 0.05)

    def think(
        context: AgentContext, history: Sequence[HistoryMessage]
    ) -> Iterable[ModelOutput]:
        if fail == "think" and len(history) == 1:
            raise RuntimeError("empty")
        yield TextChunk("Better." if len(history) > 1 else "No good.")

    speech = ScriptedSpeech(LINES, think, voice=Voice())
    async with calling(speech) as client:
        await client.open()
        await client.send("conversation.message", role="user", content="Hello")
        await client.send("reply.create")
        error = await client.until("reply.error")
        await client.until("reply.done")
        await client.send("conversation.message", role="user", content="Again")
        await client.send("reply.create")
        assert (await client.until("transcript.agent"))["text"] == "Better."

    assert error["code"] == code
    assert "Traceback" not in error["message"]


async def test_missing_components_are_reported_with_their_commands() -> None:
    told: list[tuple[str, Any]] = []
    is_told = asyncio.Event()

    def report(kind: str, facts: Any) -> None:
        told.append((kind, facts))
        is_told.set()

    part = MissingComponent(
        "llm", "no weights", "rules", "vagent models fetch qwen-0.5b"
    )
    speech = ScriptedSpeech(LINES, decide, missing=[part])
    async with serving(speech, report=report):
        await is_told.wait()

    kind, facts = told[0]
    assert kind == "vagent.missing"
    assert facts["command"] == "vagent models fetch qwen-0.5b"


async def test_turns_and_sessions_are_reported_without_their_text() -> None:
    told: list[tuple[str, Any]] = []
    speech = ScriptedSpeech(LINES, decide)
    async with serving(speech, report=lambda kind, facts: told.append((kind, facts))):
        pass
    async with (
        serving(
            speech, report=lambda kind, facts: told.append((kind, facts))
        ) as server,
        connected(server) as client,
    ):
        await client.open()
        await client.say(sentence(STOP))
        await client.until("reply.audio")
        await client.send("session.end")
        await client.until("session.ended")

    assert [kind for kind, _ in told] == [
        "vagent.session.opened",
        "vagent.turn",
        "vagent.session.closed",
    ]
    assert "Stop" not in str(told)
