"""The endpoint client against a scripted HTTP server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
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
                """Logs nothing."""

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


def respond(
    peer: Peer,
    *history: HistoryMessage | str,
    context: AgentContext = CONTEXT,
    timeout: float = 10.0,
    times: int = 1,
) -> list[ModelOutput]:
    turns = [UserMessage(t) if isinstance(t, str) else t for t in history]
    output: list[ModelOutput] = []
    with peer.serving():
        llm = OpenAiCompatibleModel(peer.url, model="m", key=KEY, timeout=timeout)
        try:
            for _ in range(times):
                output += llm.respond(context, turns, lambda: False)
        finally:
            llm.close()
    assert not peer.plays
    return output


def failure(*plays: Play, timeout: float = 10.0) -> SpeechError:
    with pytest.raises(SpeechError) as caught:
        respond(Peer(*plays), "Hello.", timeout=timeout)
    assert KEY not in f"{caught.value} {caught.value.hint}"
    return caught.value


def test_speech_comes_clause_by_clause() -> None:
    peer = Peer(said("Hello ", "and wel", "come. How", " can I **help**?"))
    assert respond(peer, "Hello.") == [
        TextChunk("Hello and welcome."),
        TextChunk("How can I help?"),
    ]


def test_the_request_follows_the_protocol() -> None:
    peer = Peer(said("Fine."))
    used = ToolMessage("c1", "get_weather", {"location": "Rome"}, '{"sky": "clear"}')
    respond(
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


def test_the_pieces_of_a_tool_call_are_joined() -> None:
    pieces = [
        {"index": 0, "id": "x", "function": {"name": "get_weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"loca'}},
        {"index": 0, "function": {"arguments": 'tion": "Rome"}'}},
    ]
    peer = Peer(
        stream({"content": "Let me see."}, *({"tool_calls": [p]} for p in pieces))
    )
    assert respond(peer, "Weather in Rome?") == [
        TextChunk("Let me see."),
        ToolCallRequest("get_weather", {"location": "Rome"}),
    ]


def test_two_calls_keep_their_order() -> None:
    calls = [
        {"index": n, "function": {"name": "get_weather", "arguments": arguments}}
        for n, arguments in ((1, '{"location": "Oslo"}'), (0, '{"location": "Rome"}'))
    ]
    output = respond(Peer(stream({"tool_calls": calls})), "Rome and Oslo?")
    assert [dict(t.arguments) for t in output if isinstance(t, ToolCallRequest)] == [
        {"location": "Rome"},
        {"location": "Oslo"},
    ]


def test_a_silent_end_of_the_call_gets_a_goodbye() -> None:
    call = {"index": 0, "function": {"name": "end_call", "arguments": ""}}
    bye = [TextChunk(GOODBYE), ToolCallRequest("end_call")]
    assert respond(Peer(stream({"tool_calls": [call]})), "Bye.") == bye
    own = Peer(stream({"content": "See you!"}, {"tool_calls": [call]}))
    assert respond(own, "Bye.") == [TextChunk("See you!"), ToolCallRequest("end_call")]


def test_after_the_end_of_the_call_the_endpoint_is_not_asked() -> None:
    assert respond(Peer(), "Bye.", ToolMessage("c", "end_call", {}, "{}")) == []


def test_a_server_that_does_not_stream_is_understood() -> None:
    message = {
        "content": "One moment.",
        "tool_calls": [
            {"function": {"name": "get_weather", "arguments": {"location": "Rome"}}}
        ],
    }
    peer = Peer(answer(200, {"choices": [{"message": message}]}))
    assert respond(peer, "Weather in Rome?") == [
        TextChunk("One moment."),
        ToolCallRequest("get_weather", {"location": "Rome"}),
    ]


def test_a_server_without_tools_is_asked_for_json_and_remembered() -> None:
    refusal = answer(400, {"error": {"message": "m does not support tools"}})
    call = '{"tool": "get_weather", "arguments": {"location": "Rome"}}'
    peer = Peer(refusal, said(call), said(call))
    output = respond(peer, "Weather in Rome?", times=2)
    assert output == [ToolCallRequest("get_weather", {"location": "Rome"})] * 2
    assert "tools" not in peer.requests[1]


def test_arguments_without_native_tools_are_validated() -> None:
    refusal = answer(400, {"error": "tools are not supported"})
    call = '{"tool": "get_weather", "arguments": {"location": "Rome"}}'
    peer = Peer(refusal, said(call))
    assert respond(peer, "How is the weather?") == [
        TextChunk("What is the location?", "get_weather.location")
    ]


def test_speech_without_native_tools_is_plain_text() -> None:
    refusal = answer(400, {"error": "tools are not supported"})
    peer = Peer(refusal, said('{"say": "Hi"}'), said("Hello *and* welcome."))
    assert respond(peer, "Hello.") == [TextChunk("Hello and welcome.")]
    formats = [request.get("response_format") for request in peer.requests]
    assert formats == [None, {"type": "json_object"}, None]


def test_reasoning_is_not_spoken() -> None:
    peer = Peer(said("<think>They greet", " me.</think>Hello there."))
    assert respond(peer, "Hello.") == [TextChunk("Hello there.")]


def test_a_rejected_key_is_reported_without_the_key() -> None:
    error = failure(answer(401, {"error": {"message": f"bad key {KEY}"}}))
    assert "does not accept the key" in error.message
    assert error.hint is not None and "local.llm.key" in error.hint


def test_an_error_of_the_server_is_quoted_without_the_key() -> None:
    error = failure(answer(500, {"error": {"message": f"{KEY} broke\n it"}}))
    assert error.message.endswith("answered HTTP 500: *** broke it")


def test_http_404_has_a_hint_about_the_url() -> None:
    error = failure(answer(404, "<html>nothing here</html>", "text/html"))
    assert error.hint is not None and "/v1" in error.hint
    assert "html" not in error.message


def test_a_server_that_hangs_times_out() -> None:
    release = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        release.wait(10)
        handler.close_connection = True

    error = failure(hang, timeout=0.2)
    release.set()
    assert "did not answer in time" in error.message


def test_an_unreachable_server_is_named() -> None:
    llm = OpenAiCompatibleModel("http://127.0.0.1:9/v1", key=KEY)
    with pytest.raises(SpeechError, match=r"127\.0\.0\.1:9/v1.*cannot be reached"):
        list(llm.respond(CONTEXT, [UserMessage("Hi")], lambda: False))
    llm.close()


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
def test_an_invalid_response_is_a_speech_error(play: Play) -> None:
    assert "endpoint" in failure(play).message


@pytest.mark.parametrize(
    "event",
    ['{"choices": []}', '{"choices": [7]}', '{"choices": [{"delta": null}]}', "{}"],
)
def test_events_without_content_are_ignored(event: str) -> None:
    peer = Peer(stream(ending=f"data: {event}\n\ndata: [DONE]\n\n".encode()))
    assert respond(peer, "Hello.") == []


def test_cancellation_ends_a_hanging_request_at_once() -> None:
    cancel, release = threading.Event(), threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        said("Hello and welcome. ", "How")(handler)
        release.wait(10)

    peer = Peer(hang)
    with peer.serving():
        llm = OpenAiCompatibleModel(peer.url, model="llama3.1")
        output = llm.respond(CONTEXT, [UserMessage("Hello.")], cancel.is_set)
        assert next(iter(output)) == TextChunk("Hello and welcome.")
        cancel.set()
        assert list(output) == []
        release.set()
        llm.close()


def test_user_and_password_of_the_url_are_never_shown() -> None:
    llm = OpenAiCompatibleModel("http://ann:hunter2@127.0.0.1:9/v1?token=t0ken")
    with pytest.raises(SpeechError) as caught:
        list(llm.respond(CONTEXT, [UserMessage("Hi")], lambda: False))
    shown = f"{caught.value} {caught.value.hint}"
    assert "hunter2" not in shown and "t0ken" not in shown
    llm.close()


def function_call(
    arguments: str | None, *, name: str | None = "get_weather", **fields: Any
) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"type": "function", "function": function, **fields}]}


OSLO, ROME = '{"location": "Oslo"}', '{"location": "Rome"}'
TWO_CALLS = {
    "every index is 0": [
        function_call(OSLO, index=0, id="a"),
        function_call(ROME, index=0, id="b"),
    ],
    "no index": [function_call(OSLO, id="a"), function_call(ROME, id="b")],
    "neither index nor id": [function_call(OSLO), function_call(ROME)],
    "the name in each piece": [
        function_call("", index=0, id="a"),
        function_call('{"location": ', index=0, id="a"),
        function_call('"Oslo"}', index=0, id="a"),
        function_call("", index=1, id="b"),
        function_call(ROME, index=1, id="b"),
    ],
    "the name again at the end": [
        function_call(OSLO, index=0, id="a"),
        function_call("", index=0),
        function_call(ROME, index=1, id="b"),
        function_call("", index=1),
    ],
    "the id only in the first piece": [
        function_call("", index=0, id="a"),
        function_call(OSLO, index=0, name=None),
        function_call("", index=1, id="b"),
        function_call(ROME, index=1, name=None),
    ],
}


@pytest.mark.parametrize("deltas", TWO_CALLS.values(), ids=TWO_CALLS)
def test_two_calls_are_distinguished_in_every_form(
    deltas: list[dict[str, Any]],
) -> None:
    output = respond(Peer(stream(*deltas)), "Oslo and Rome?")
    calls = [each for each in output if isinstance(each, ToolCallRequest)]
    assert [(call.name, dict(call.arguments)) for call in calls] == [
        ("get_weather", {"location": "Oslo"}),
        ("get_weather", {"location": "Rome"}),
    ]


@pytest.mark.parametrize("arguments", [None, "", "null", "{}", '"{}"', " "])
def test_empty_arguments_are_an_empty_object(arguments: str | None) -> None:
    output = respond(Peer(stream(function_call(arguments, index=0))), "Weather?")
    assert output == [ToolCallRequest("get_weather", {})]


def speech(*texts: object, model: str | None = None) -> list[str]:
    deltas = [{"content": text} for text in texts]
    peer = Peer(stream(*deltas))
    with peer.serving():
        llm = OpenAiCompatibleModel(peer.url, model=model)
        output = list(llm.respond(CONTEXT, [UserMessage("Hello.")], lambda: False))
    return [each.text for each in output if isinstance(each, TextChunk)]


@pytest.mark.parametrize(
    "texts",
    [
        ("<think>secret</think>Hello caller.",),
        ("<thinking>secret", "</thinking>Hello caller."),
        ("<thi", "nk>sec", "ret</thi", "nk>", "Hello caller."),
        (
            "<|channel|>analysis<|message|>secret<|end|>"
            "<|start|>assistant<|channel|>final<|message|>Hello caller.<|return|>",
        ),
        ("secret</think>\n\nHello caller.",),
        ('<tool_call>{"name": "unknown", "arguments": {}}</tool_call>Hello caller.',),
        ([{"type": "text", "text": "Hello "}, {"type": "text", "text": "caller."}],),
    ],
)
def test_thoughts_and_markup_are_not_spoken(texts: tuple[object, ...]) -> None:
    assert speech(*texts) == ["Hello caller."]


def test_a_thought_without_a_first_tag_is_held_back_for_models_that_think() -> None:
    texts = ("A secret thought. ", "And one more.", "</think>", "Hello caller.")
    assert speech(*texts, model="Qwen3-8B") == ["Hello caller."]


@pytest.mark.parametrize("model", [None, "new-model-2", "qwen2.5-thinking"])
def test_the_first_answer_of_an_unknown_model_is_held_back_too(
    model: str | None,
) -> None:
    texts = ("A secret thought. ", "And one more.", "</think>", "Hello caller.")
    assert speech(*texts, model=model) == ["Hello caller."]


def test_an_answer_without_a_thought_is_spoken_after_answers_with_one() -> None:
    plays = [
        stream({"content": "secret</think>Hello caller."}),
        stream({"content": "It is "}, {"content": "sunny."}),
    ]
    peer = Peer(*plays)
    with peer.serving():
        llm = OpenAiCompatibleModel(peer.url)
        for expected in ("Hello caller.", "It is sunny."):
            output = llm.respond(CONTEXT, [UserMessage("Hello.")], lambda: False)
            assert list(output) == [TextChunk(expected)]


def test_a_link_is_spoken_without_its_address() -> None:
    said = speech("See [our site](https://example.com/a?b=1).")
    assert said == ["See our site."]


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "get_weather", "arguments": {"location": "Oslo"}}\n'
        "</tool_call>",
        '{"name": "get_weather", "arguments": {"location": "Oslo"}}',
        '{"name": "get_weather", "parameters": {"location": "Oslo"}}',
    ],
)
def test_a_call_written_as_text_is_made_and_not_spoken(text: str) -> None:
    pieces = [{"content": text[at : at + 7]} for at in range(0, len(text), 7)]
    output = respond(Peer(stream(*pieces)), "Oslo?")
    assert output == [ToolCallRequest("get_weather", {"location": "Oslo"})]


def test_two_calls_without_arguments_and_ids_are_two() -> None:
    context = replace(
        CONTEXT,
        tools=({"type": "function", "name": "a"}, {"type": "function", "name": "b"}),
    )
    for index in (0, None):
        fields = {} if index is None else {"index": index}
        deltas = [function_call("", name=name, **fields) for name in ("a", "b")]
        output = respond(Peer(stream(*deltas)), "Both.", context=context)
        assert output == [ToolCallRequest("a", {}), ToolCallRequest("b", {})]


def test_a_call_of_an_unknown_tool_in_the_text_gets_an_answer() -> None:
    text = '{"name": "no_such_tool", "arguments": {"x": 1}}'
    output = respond(Peer(stream({"content": text})), "Oslo?")
    assert output == [ToolCallRequest("no_such_tool", {"x": 1})]


def test_json_that_is_not_a_call_is_spoken() -> None:
    text = '{"name": "Ada", "age": 36}'
    output = respond(Peer(stream({"content": text})), "Who?")
    assert {type(each) for each in output} == {TextChunk}
