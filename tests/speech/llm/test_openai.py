"""The endpoint client against a scripted HTTP server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from runner.errors import SpeechError
from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    ModelOutput,
    SystemMessage,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.openai import OpenAiCompatibleModel
from runner.speech.llm.prompt import GOODBYE

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "get_weather",
        "description": "Get the weather.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}},
            "required": ["location"],
        },
    },
    {"type": "function", "name": "end_call", "description": "End the call."},
]
CONTEXT = AgentContext("You work for Acme.", TOOLS)
KEY = "sk-very-secret"
Play = Callable[[BaseHTTPRequestHandler], None]


class Peer:
    """Answers one request after the other with the given plays; keeps the bodies."""

    def __init__(self, *plays: Play) -> None:
        self.plays = list(plays)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator[Peer]:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                peer.requests.append({"path": self.path, **json.loads(body)})
                peer.headers.append({k.lower(): v for k, v in self.headers.items()})
                peer.plays.pop(0)(self)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output clean."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def stream(*deltas: dict[str, Any], ending: bytes = b"data: [DONE]\n\n") -> Play:
    def play(handler: BaseHTTPRequestHandler) -> None:
        begin(handler, 200, "text/event-stream; charset=utf-8")
        handler.wfile.write(b": a comment, as some servers send to keep alive\n\n")
        for delta in deltas:
            event = {"choices": [{"index": 0, "delta": delta}]}
            handler.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        handler.wfile.write(ending)

    return play


def answer(status: int, body: object, kind: str = "application/json") -> Play:
    def play(handler: BaseHTTPRequestHandler) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        begin(handler, status, kind)
        handler.wfile.write(text.encode())

    return play


def begin(handler: BaseHTTPRequestHandler, status: int, kind: str) -> None:
    handler.send_response(status)
    handler.send_header("content-type", kind)
    handler.send_header("connection", "close")
    handler.close_connection = True
    handler.end_headers()


def said(*texts: str) -> Play:
    return stream({"role": "assistant"}, *({"content": text} for text in texts))


def think(
    peer: Peer,
    *history: HistoryMessage | str,
    context: AgentContext = CONTEXT,
    timeout: float = 10.0,
    times: int = 1,
) -> list[ModelOutput]:
    turns = [UserMessage(t) if isinstance(t, str) else t for t in history]
    thoughts: list[ModelOutput] = []
    with peer.serving():
        brain = OpenAiCompatibleModel(peer.url, model="m", key=KEY, timeout=timeout)
        try:
            for _ in range(times):
                thoughts += brain.respond(context, turns, lambda: False)
        finally:
            brain.close()
    assert not peer.plays
    return thoughts


def failure(*plays: Play, timeout: float = 10.0) -> SpeechError:
    with pytest.raises(SpeechError) as caught:
        think(Peer(*plays), "Hello.", timeout=timeout)
    assert KEY not in f"{caught.value} {caught.value.hint}"
    return caught.value


def test_speech_comes_clause_by_clause() -> None:
    peer = Peer(said("Hello ", "and wel", "come. How", " can I **help**?"))
    assert think(peer, "Hello.") == [
        TextChunk("Hello and welcome."),
        TextChunk("How can I help?"),
    ]


def test_the_request_is_the_protocols() -> None:
    peer = Peer(said("Fine."))
    used = ToolMessage("c1", "get_weather", {"location": "Rome"}, '{"sky": "clear"}')
    think(
        peer,
        "Weather in Rome?",
        used,
        AssistantMessage("Clear."),
        SystemMessage("Hurry."),
        "Ok",
    )
    (request,) = peer.requests
    assert request["path"] == "/v1/chat/completions"
    assert (request["model"], request["stream"]) == ("m", True)
    assert peer.headers[0]["authorization"] == f"Bearer {KEY}"
    assert [tool["function"]["name"] for tool in request["tools"]] == [
        "get_weather",
        "end_call",
    ]
    roles = [message["role"] for message in request["messages"]]
    assert roles == [
        *("system", "user", "assistant", "tool", "assistant", "system", "user")
    ]
    (call,) = request["messages"][2]["tool_calls"]
    assert (call["id"], request["messages"][3]["tool_call_id"]) == ("c1", "c1")
    assert json.loads(call["function"]["arguments"]) == {"location": "Rome"}


def test_a_call_in_pieces_is_put_together() -> None:
    pieces = [
        {"index": 0, "id": "x", "function": {"name": "get_weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"loca'}},
        {"index": 0, "function": {"arguments": 'tion": "Rome"}'}},
    ]
    peer = Peer(
        stream({"content": "Let me see."}, *({"tool_calls": [p]} for p in pieces))
    )
    assert think(peer, "Weather in Rome?") == [
        TextChunk("Let me see."),
        ToolCallRequest("get_weather", {"location": "Rome"}),
    ]


def test_two_calls_keep_their_order() -> None:
    calls = [
        {"index": n, "function": {"name": "get_weather", "arguments": arguments}}
        for n, arguments in ((1, '{"location": "Oslo"}'), (0, '{"location": "Rome"}'))
    ]
    thoughts = think(Peer(stream({"tool_calls": calls})), "Rome and Oslo?")
    assert [dict(t.arguments) for t in thoughts if isinstance(t, ToolCallRequest)] == [
        {"location": "Rome"},
        {"location": "Oslo"},
    ]


def test_a_silent_end_of_the_call_gets_a_goodbye() -> None:
    call = {"index": 0, "function": {"name": "end_call", "arguments": ""}}
    bye = [TextChunk(GOODBYE), ToolCallRequest("end_call")]
    assert think(Peer(stream({"tool_calls": [call]})), "Bye.") == bye
    own = Peer(stream({"content": "See you!"}, {"tool_calls": [call]}))
    assert think(own, "Bye.") == [TextChunk("See you!"), ToolCallRequest("end_call")]


def test_after_the_end_of_the_call_the_endpoint_is_not_asked() -> None:
    assert think(Peer(), "Bye.", ToolMessage("c", "end_call", {}, "{}")) == []


def test_a_server_that_does_not_stream_is_understood() -> None:
    message = {
        "content": "One moment.",
        "tool_calls": [
            {"function": {"name": "get_weather", "arguments": {"location": "Rome"}}}
        ],
    }
    peer = Peer(answer(200, {"choices": [{"message": message}]}))
    assert think(peer, "Weather in Rome?") == [
        TextChunk("One moment."),
        ToolCallRequest("get_weather", {"location": "Rome"}),
    ]


def test_a_server_without_tools_is_asked_for_json_and_remembered() -> None:
    refusal = answer(400, {"error": {"message": "m does not support tools"}})
    call = '{"tool": "get_weather", "arguments": {"location": "Rome"}}'
    peer = Peer(refusal, said(call), said(call))
    thoughts = think(peer, "Weather in Rome?", times=2)
    assert thoughts == [ToolCallRequest("get_weather", {"location": "Rome"})] * 2
    assert "tools" not in peer.requests[1]


def test_a_guess_of_such_a_server_is_not_believed() -> None:
    refusal = answer(400, {"error": "tools are not supported"})
    call = '{"tool": "get_weather", "arguments": {"location": "Rome"}}'
    peer = Peer(refusal, said(call))
    assert think(peer, "How is the weather?") == [
        TextChunk("What is the location?", "get_weather.location")
    ]


def test_such_a_server_is_asked_for_plain_words_to_speak() -> None:
    refusal = answer(400, {"error": "tools are not supported"})
    peer = Peer(refusal, said('{"say": "Hi"}'), said("Hello *and* welcome."))
    assert think(peer, "Hello.") == [TextChunk("Hello and welcome.")]
    formats = [request.get("response_format") for request in peer.requests]
    assert formats == [None, {"type": "json_object"}, None]


def test_words_of_a_reasoning_model_to_itself_are_not_spoken() -> None:
    peer = Peer(said("<think>They greet", " me.</think>Hello there."))
    assert think(peer, "Hello.") == [TextChunk("Hello there.")]


def test_a_rejected_key_is_told_without_the_key() -> None:
    error = failure(answer(401, {"error": {"message": f"bad key {KEY}"}}))
    assert "does not accept the key" in error.message
    assert error.hint is not None and "local.llm.key" in error.hint


def test_an_error_of_the_server_is_quoted_without_the_key() -> None:
    error = failure(answer(500, {"error": {"message": f"{KEY} broke\n it"}}))
    assert error.message.endswith("answered HTTP 500: *** broke it")


def test_a_missing_page_points_at_the_url() -> None:
    error = failure(answer(404, "<html>nothing here</html>", "text/html"))
    assert error.hint is not None and "/v1" in error.hint
    assert "html" not in error.message


def test_a_server_that_hangs_is_given_up() -> None:
    release = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        release.wait(10)
        handler.close_connection = True

    error = failure(hang, timeout=0.2)
    release.set()
    assert "did not answer in time" in error.message


def test_a_server_that_is_not_there_is_named() -> None:
    brain = OpenAiCompatibleModel("http://127.0.0.1:9/v1", key=KEY)
    with pytest.raises(SpeechError, match=r"127\.0\.0\.1:9/v1.*cannot be reached"):
        list(brain.respond(CONTEXT, [UserMessage("Hi")], lambda: False))
    brain.close()


@pytest.mark.parametrize(
    "play",
    [
        answer(200, "[1]"),
        answer(200, "nothing"),
        stream(ending=b"data: {broken\n\n"),
        stream(ending=b'data: {"error": {"message": "out of memory"}}\n\n'),
        stream({"tool_calls": [{"function": {"name": "t", "arguments": "{no"}}]}),
        stream({"tool_calls": [{"function": {"name": "t", "arguments": "[]"}}]}),
    ],
)
def test_garbage_is_a_clear_error(play: Play) -> None:
    assert "endpoint" in failure(play).message


@pytest.mark.parametrize(
    "event",
    ['{"choices": []}', '{"choices": [7]}', '{"choices": [{"delta": null}]}', "{}"],
)
def test_events_without_content_are_passed_over(event: str) -> None:
    peer = Peer(stream(ending=f"data: {event}\n\ndata: [DONE]\n\n".encode()))
    assert think(peer, "Hello.") == []


def test_a_cancelled_reader_leaves_a_hanging_server_at_once() -> None:
    cancel, release = threading.Event(), threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        said("Hello and welcome. ", "How")(handler)
        release.wait(10)

    peer = Peer(hang)
    with peer.serving():
        brain = OpenAiCompatibleModel(peer.url)
        thoughts = brain.respond(CONTEXT, [UserMessage("Hello.")], cancel.is_set)
        assert next(iter(thoughts)) == TextChunk("Hello and welcome.")
        cancel.set()
        assert list(thoughts) == []
        release.set()
        brain.close()


def test_user_and_password_of_the_url_are_never_shown() -> None:
    brain = OpenAiCompatibleModel("http://ann:hunter2@127.0.0.1:9/v1?token=t0ken")
    with pytest.raises(SpeechError) as caught:
        list(brain.respond(CONTEXT, [UserMessage("Hi")], lambda: False))
    shown = f"{caught.value} {caught.value.hint} {brain.name}"
    assert "hunter2" not in shown and "t0ken" not in shown
    brain.close()
