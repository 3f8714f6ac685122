"""Language model behind an OpenAI-compatible endpoint, with native tool calls.

Ollama, llama.cpp, vLLM and hosted services use the same protocol: server-sent events
with pieces of text and of tool calls. A server that refuses the `tools` field gets the
prompt of a small model instead, and its arguments are checked like those of one.
"""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

from runner.errors import SpeechError
from runner.redaction import Redactor, strip_credentials
from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    Cancelled,
    HistoryMessage,
    ModelOutput,
    SystemMessage,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.grammar import speech_grammar
from runner.speech.llm.markup import MarkupFilter, without_links
from runner.speech.llm.prompt import GOODBYE, ChatMessage, shorten
from runner.speech.llm.small_model import SmallModelPolicy
from runner.speech.llm.text import ClauseSplitter
from runner.speech.llm.tools import read_tool_specs

_STYLE = (
    "You are on the phone: everything you write is spoken aloud. Use one or two short, "
    "plain sentences, no lists, no markdown, no emoji. When you end the call, say a "
    "short goodbye together with the tool call."
)
_CONTEXT = 8192  # tokens; for the fallback without tools, any such server has more
_MAX_TOKENS = 400


class OpenAiCompatibleModel:
    """A model behind an endpoint; `url` is the root of the API, such as `.../v1`.

    `timeout` is the maximum silence of the endpoint in seconds. `respond` raises
    SpeechError if the endpoint fails; no message contains the key.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._endpoint = ChatEndpoint(url, model=model, key=key, timeout=timeout)
        self._plain = SmallModelPolicy(_EndpointModel(self._endpoint))
        self._accepts_tools = True
        # Templates of some models write the first tag of the thought themselves. The
        # answer then only contains its end, which the first answer shows. It is held
        # back, unless the model is known not to think.
        self._starts_thinking = False
        self._holds_answer = not _is_plain(model or "")

    def warm(self, context: AgentContext) -> None:
        """Does nothing: the server keeps its own cache, and a request costs money."""

    def respond(
        self,
        context: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yields clauses to be joined with spaces, then tool calls."""
        tools = read_tool_specs(context.tools)
        endings = {tool.name for tool in tools if tool.ends_call}
        last = history[-1] if history else None
        if isinstance(last, ToolMessage) and last.name in endings and not last.is_error:
            return  # the goodbye was said with the call
        if not self._accepts_tools:
            yield from self._plain.respond(context, history, cancelled)
            return
        try:
            yield from self._respond_with_tools(context, history, endings, cancelled)
        except ToolsRefused:
            self._accepts_tools = False
            yield from self._plain.respond(context, history, cancelled)

    def close(self) -> None:
        """Closes the connections."""
        self._endpoint.close()

    def _respond_with_tools(
        self,
        context: AgentContext,
        history: Sequence[HistoryMessage],
        endings: set[str],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        names = {str(tool.get("name")) for tool in context.tools}
        calls, has_spoken = CallMerger(names), False
        request: dict[str, Any] = {"messages": _messages(context, history)}
        if context.tools:
            request["tools"] = [_function(tool) for tool in context.tools]
        for clause in self._read_clauses(request, calls, cancelled):
            has_spoken = True
            yield TextChunk(clause)
        if cancelled():
            return
        for call in calls.in_order():
            if call.name in endings and not has_spoken:
                yield TextChunk(GOODBYE)
            yield ToolCallRequest(call.name, _arguments(call))

    def _read_clauses(
        self, request: Mapping[str, Any], calls: CallMerger, cancelled: Cancelled
    ) -> Iterator[str]:
        """Yields the clauses to be spoken, and adds the tool calls to `calls`."""
        splitter = ClauseSplitter()
        markup = MarkupFilter(starts_thinking=self._starts_thinking)
        text = ""
        for piece in self._endpoint.complete(request, cancelled):
            for part in piece.calls:
                calls.add(part)
            spoken = markup.feed(piece.text)
            if markup.ended_stray:  # the text before was a thought
                self._starts_thinking, markup.ended_stray, text = True, False, ""
            text += spoken
            if self._holds_answer:
                continue
            yield from map(without_links, splitter.feed(text))
            text = ""
        if cancelled():
            return
        self._holds_answer = False
        text += markup.finish()
        for call in markup.calls:
            # JSON with a name is a call if a tool has the name; an unknown tool gets an
            # error as its result, from which the model continues.
            if call.is_certain or call.name in calls.names:
                calls.add(PartialCall(None, call.name, call.arguments))
        for clause in (*splitter.feed(text), *splitter.finish()):
            yield without_links(clause)


class _EndpointModel:
    """The endpoint without tools: asked for JSON, without a grammar to enforce it."""

    context = _CONTEXT
    is_small = False

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self._endpoint = endpoint

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        max_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        if max_tokens == 0:
            return
        request: dict[str, Any] = {
            "messages": list(messages),
            "max_tokens": _MAX_TOKENS,
            "temperature": 0.0,
        }
        if grammar != speech_grammar():
            request["response_format"] = {"type": "json_object"}
        markup = MarkupFilter(keeps_json=True)
        for piece in self._endpoint.complete(request, cancelled):
            yield markup.feed(piece.text)
        yield markup.finish()

    def close(self) -> None:
        self._endpoint.close()


def _messages(
    context: AgentContext, history: Sequence[HistoryMessage]
) -> list[dict[str, Any]]:
    content = f"{context.prompt.strip()}\n\n{_STYLE}".strip()
    messages: list[dict[str, Any]] = [{"role": "system", "content": content}]
    for number, turn in enumerate(history):
        match turn:
            case UserMessage(text):
                messages.append({"role": "user", "content": text})
            case AssistantMessage(text):
                messages.append({"role": "assistant", "content": text})
            case SystemMessage(text):
                messages.append({"role": "system", "content": text})
            case ToolMessage():
                messages += _call_and_result(turn, turn.call_id or f"call_{number}")
    return messages


def _call_and_result(turn: ToolMessage, call_id: str) -> list[dict[str, Any]]:
    function = {"name": turn.name, "arguments": json.dumps(dict(turn.arguments))}
    call = {"id": call_id, "type": "function", "function": function}
    result = "still running" if turn.result is None else shorten(turn.result)
    if turn.is_error:
        result = f"failed: {result}"
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": result},
    ]


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.get("name"),
            "description": tool.get("description") or "",
            "parameters": tool.get("parameters")
            or {"type": "object", "properties": {}},
        },
    }


def _arguments(call: PartialCall) -> Mapping[str, Any]:
    arguments: Any = call.arguments
    for _ in range(_MAX_TEXT_LEVELS):
        if not isinstance(arguments, str):
            break
        try:
            arguments = json.loads(arguments.strip() or "{}")
        except ValueError as error:
            raise SpeechError(
                f"the endpoint's arguments of {call.name!r} are not JSON"
            ) from error
    arguments = {} if arguments is None else arguments
    if not isinstance(arguments, dict):
        raise SpeechError(
            f"the endpoint's arguments of {call.name!r} are not a JSON object"
        )
    return arguments


_THINKING_MODEL = re.compile(
    r"(?i)think|reason|qwen-?3|qwq|r1\b|gpt-oss|magistral|nemotron|glm-?4|phi-?4"
)
# Families without thoughts; what is not here is waited for once.
_PLAIN_MODEL = re.compile(
    r"(?i)llama|gemma-?[123]|(mis|mix|mini|code)s?tral|gpt-[34]|qwen-?(1|2)|phi-?[23]"
    r"|command|granite-?[123]|smollm|tiny|falcon|vicuna|hermes-?[23]|gemini-[12]"
)


def _is_plain(model: str) -> bool:
    """True if a model of this name writes no thoughts."""
    return bool(_PLAIN_MODEL.search(model)) and not _THINKING_MODEL.search(model)


_MAX_TEXT_LEVELS = 3  # JSON text in JSON text
_PATH = "/chat/completions"
_CONNECT = 5.0  # seconds
_MAX_PROBLEM = 200  # characters of an error message of the server
_MAX_ERROR_BODY = 64_000  # bytes


class ToolsRefused(Exception):
    """The server or its model does not accept tools."""


@dataclass(slots=True)
class PartialCall:
    """A tool call received in pieces; `arguments` is JSON text.

    `index` is None if the server sends none.
    """

    index: int | None = None
    name: str = ""
    arguments: str = ""
    call_id: str = ""

    @property
    def is_complete(self) -> bool:
        """True if the arguments are a whole JSON value."""
        try:
            json.loads(self.arguments)
        except ValueError:
            return False
        return True

    def add(self, part: PartialCall) -> None:
        # Some servers repeat the name in each piece, others split it.
        if part.name != self.name:
            self.name += part.name
        self.arguments += part.arguments
        self.call_id = self.call_id or part.call_id


class CallMerger:
    """Merges the pieces of tool calls in the forms in which servers send them.

    A piece begins a new call if it has another id, or a name while the call before is
    complete: Ollama gives every call the index 0, older versions and Gemini give none.
    `names` are the tools of the agent.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self.names = names
        self.calls: list[PartialCall] = []

    def add(self, part: PartialCall) -> None:
        """Adds a piece."""
        call = self._find(part)
        if call is None:
            call = PartialCall(part.index)
            self.calls.append(call)
        call.add(part)

    def in_order(self) -> list[PartialCall]:
        """Returns the calls by their index, or in the order of their arrival."""
        numbers = [call.index for call in self.calls]
        if None in numbers or len(set(numbers)) < len(numbers):
            return self.calls
        return sorted(self.calls, key=lambda call: call.index or 0)

    def _find(self, part: PartialCall) -> PartialCall | None:
        same_id = [c for c in self.calls if part.call_id and c.call_id == part.call_id]
        if same_id:
            return same_id[-1]
        others = [
            call
            for call in self.calls
            if part.index is None or call.index in (None, part.index)
        ]
        call = others[-1] if others else None
        if call is None or (part.call_id and call.call_id):
            return None
        if not (part.name and call.name):
            return call
        if part.name == call.name and not part.arguments:
            return call  # the name is repeated at the end
        is_other = part.name != call.name and (
            part.index is None or {part.name, call.name} <= set(self.names)
        )
        return None if call.is_complete or is_other else call


@dataclass(frozen=True, slots=True)
class Piece:
    """The content of one event of the stream."""

    text: str = ""
    calls: Sequence[PartialCall] = field(default_factory=tuple)


class ChatEndpoint:
    """A chat-completions endpoint and its connections. Thread-safe."""

    def __init__(
        self, url: str, *, model: str | None, key: str | None, timeout: float
    ) -> None:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SpeechError(
                f"the URL {strip_credentials(url.strip())!r} is not an http(s) address",
                hint="give the root of the API, such as http://127.0.0.1:11434/v1",
            )
        path = parts.path.rstrip("/").removesuffix(_PATH)
        self.address = strip_credentials(urlunsplit(parts._replace(path=path)))
        self._url = urlunsplit(parts._replace(path=path + _PATH, fragment=""))
        self._model = model
        self._redactor = Redactor([key] if key else [])
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(
            headers=headers, timeout=httpx.Timeout(timeout, connect=_CONNECT)
        )

    def complete(
        self, request: Mapping[str, Any], cancelled: Cancelled
    ) -> Iterator[Piece]:
        """Yields the answer as it arrives.

        Raises ToolsRefused if tools were sent and not accepted, SpeechError for every
        other failure. Returns within 20 ms of `cancelled`.
        """
        body = {**request, "stream": True}
        if self._model:
            body["model"] = self._model

        def produce(emit: Callable[[Piece], bool]) -> None:
            try:
                self._request(body, emit)
            except httpx.TimeoutException as error:
                raise SpeechError(
                    f"the endpoint {self.address!r} did not answer in time"
                ) from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise SpeechError(
                    f"the endpoint {self.address!r} cannot be reached: "
                    f"{self._redact(str(error)) or type(error).__name__}",
                    hint="start it, or check local.llm.url in the agent file",
                ) from error

        yield from stream_in_thread(produce, cancelled)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _request(self, body: Mapping[str, Any], emit: Callable[[Piece], bool]) -> None:
        with self._client.stream("POST", self._url, json=body) as response:
            if response.status_code != httpx.codes.OK:
                raise self._failure(response, "tools" in body)
            kind = response.headers.get("content-type", "")
            if "json" in kind and "event-stream" not in kind:
                # A server without streaming answers with one complete message.
                response.read()
                self._emit_event(response.text, emit)
                return
            for line in response.iter_lines():
                name, _, data = line.partition(":")
                data = data.strip()
                if name != "data" or not data:
                    continue
                if data == "[DONE]" or not self._emit_event(data, emit):
                    return

    def _emit_event(self, text: str, emit: Callable[[Piece], bool]) -> bool:
        try:
            event = json.loads(text)
        except ValueError as error:
            raise SpeechError(
                f"the answer of the endpoint {self.address!r} is not JSON"
            ) from error
        if not isinstance(event, dict):
            raise SpeechError(
                f"the answer of the endpoint {self.address!r} is not a JSON object"
            )
        if event.get("error"):
            raise SpeechError(
                f"the endpoint {self.address!r} failed: "
                f"{self._redact(_error_text(event))}"
            )
        return emit(_read_piece(event))

    def _failure(self, response: httpx.Response, had_tools: bool) -> Exception:
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MAX_ERROR_BODY:
                break
        said = self._redact(_problem(body))
        status = response.status_code
        if had_tools and status in (400, 404, 422, 500, 501) and "tool" in said.lower():
            return ToolsRefused(said)
        if status in (401, 403):
            return SpeechError(
                f"the endpoint {self.address!r} does not accept the key",
                hint="check local.llm.key in the agent file",
            )
        hint = None
        if status == httpx.codes.NOT_FOUND:
            hint = "check local.llm.url (it often ends in /v1) and local.llm.model"
        detail = f": {said}" if said else ""
        return SpeechError(
            f"the endpoint {self.address!r} answered HTTP {status}{detail}", hint=hint
        )

    def _redact(self, text: str) -> str:
        return " ".join(self._redactor.text(text).split())[:_MAX_PROBLEM]


def _read_piece(event: Mapping[str, Any]) -> Piece:
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(choice, dict):
        return Piece()
    delta = choice.get("delta") or choice.get("message") or {}
    text = delta.get("content") if isinstance(delta, dict) else None
    listed = delta.get("tool_calls") if isinstance(delta, dict) else None
    calls = [
        _read_call(call)
        for call in (listed if isinstance(listed, list) else [])
        if isinstance(call, dict)
    ]
    return Piece(_read_text(text), tuple(calls))


def _read_text(content: object) -> str:
    """Returns the text of a message; some servers send a list of parts."""
    if isinstance(content, list):
        return "".join(
            _read_text(part.get("text")) for part in content if isinstance(part, dict)
        )
    return content if isinstance(content, str) else ""


def _read_call(call: Mapping[str, Any]) -> PartialCall:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # some servers send them parsed
        arguments = json.dumps(arguments)
    index, call_id, name = call.get("index"), call.get("id"), function.get("name")
    return PartialCall(
        index if isinstance(index, int) else None,
        name if isinstance(name, str) else "",
        arguments if isinstance(arguments, str) else "",
        call_id if isinstance(call_id, str) else "",
    )


def _problem(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        event = json.loads(text)
    except ValueError:
        return "" if text.lstrip().startswith("<") else text  # an error page in HTML
    return _error_text(event) if isinstance(event, dict) else text


def _error_text(event: Mapping[str, Any]) -> str:
    error = event.get("error", event.get("message", event.get("detail", "")))
    return str(error.get("message", error) if isinstance(error, dict) else error)


T = TypeVar("T")
# Seconds until a cancellation is noticed; an interruption has 100 ms in total.
_POLL = 0.02


def stream_in_thread(
    produce: Callable[[Callable[[T], bool]], None], cancelled: Cancelled
) -> Iterator[T]:
    """Runs `produce` in a thread and yields what it emits.

    `produce` gets `emit(piece)` and must return once that returns False. The generator
    ends within 20 ms of `cancelled`, even while `produce` blocks. Exceptions of
    `produce` are raised here.
    """
    pieces: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
    closed = threading.Event()

    def emit(piece: T) -> bool:
        if closed.is_set() or cancelled():
            return False
        pieces.put((piece,))
        return True

    def run() -> None:
        try:
            produce(emit)
        except BaseException as error:  # raised again by the generator
            pieces.put(error)
        else:
            pieces.put(None)

    # A daemon thread: it must not keep the process alive if `produce` hangs.
    threading.Thread(target=run, name="llm-stream", daemon=True).start()
    try:
        while not cancelled():
            try:
                piece = pieces.get(timeout=_POLL)
            except queue.Empty:
                continue
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            yield piece[0]
    finally:
        closed.set()
