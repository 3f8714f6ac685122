"""The chat-completions protocol over HTTP: one request, an answer in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

import httpx

from runner.errors import SpeechError
from runner.speech.brain.relay import relay
from runner.speech.parts import Cancelled

_PATH = "/chat/completions"
_CONNECT = 5.0  # seconds
_LONGEST_PROBLEM = 200  # characters of a server's own words
_LONGEST_ERROR_BODY = 64_000  # bytes


class ToolsRefused(Exception):
    """The server or its model cannot be given tools."""


@dataclass(slots=True)
class PartialCall:
    """A tool call of which pieces are still arriving; `arguments` is JSON text."""

    index: int
    name: str = ""
    arguments: str = ""

    def add(self, part: PartialCall) -> None:
        self.name += part.name
        self.arguments += part.arguments


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event of the stream brought."""

    text: str = ""
    calls: Sequence[PartialCall] = field(default_factory=tuple)


class ChatEndpoint:
    """One endpoint and its connections; safe to call from several threads."""

    def __init__(
        self, url: str, *, model: str | None, key: str | None, timeout: float
    ) -> None:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SpeechError(
                f"the endpoint's url {_address(parts)!r} is not an http(s) address",
                hint="give the root of the API, such as http://127.0.0.1:11434/v1",
            )
        path = parts.path.rstrip("/").removesuffix(_PATH)
        self.address = _address(parts._replace(path=path))
        self._url = urlunsplit(parts._replace(path=path + _PATH, fragment=""))
        self._model = model
        self._key = key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(
            headers=headers, timeout=httpx.Timeout(timeout, connect=_CONNECT)
        )

    def complete(
        self, request: Mapping[str, Any], cancelled: Cancelled
    ) -> Iterator[Piece]:
        """Yield the answer as it arrives.

        Raises `ToolsRefused` when tools were sent and not accepted, `SpeechError` for
        every other failure. Leaves within 20 ms of `cancelled`.
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
                    hint="is it running, and is local.llm.url right?",
                ) from error

        yield from relay(produce, cancelled)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _request(self, body: Mapping[str, Any], emit: Callable[[Piece], bool]) -> None:
        with self._client.stream("POST", self._url, json=body) as response:
            if response.status_code != httpx.codes.OK:
                raise self._failure(response, "tools" in body)
            kind = response.headers.get("content-type", "")
            if "json" in kind and "event-stream" not in kind:
                # A server that does not stream answers with one whole message.
                response.read()
                self._pass_on(response.text, emit)
                return
            for line in response.iter_lines():
                name, _, data = line.partition(":")
                data = data.strip()
                if name != "data" or not data:
                    continue
                if data == "[DONE]" or not self._pass_on(data, emit):
                    return

    def _pass_on(self, text: str, emit: Callable[[Piece], bool]) -> bool:
        try:
            event = json.loads(text)
        except ValueError as error:
            raise SpeechError(
                f"the endpoint {self.address!r} answered something that is not JSON"
            ) from error
        if not isinstance(event, dict):
            raise SpeechError(
                f"the endpoint {self.address!r} answered JSON that is no object"
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
            if len(body) > _LONGEST_ERROR_BODY:
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
        told = f": {said}" if said else ""
        return SpeechError(
            f"the endpoint {self.address!r} answered HTTP {status}{told}", hint=hint
        )

    def _redact(self, text: str) -> str:
        text = text.replace(self._key, "***") if self._key else text
        return " ".join(text.split())[:_LONGEST_PROBLEM]


def _address(parts: SplitResult) -> str:
    """Return the URL without user, password, query and fragment: those are secrets."""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _read_piece(event: Mapping[str, Any]) -> Piece:
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(choice, dict):
        return Piece()
    delta = choice.get("delta") or choice.get("message") or {}
    text = delta.get("content") if isinstance(delta, dict) else None
    listed = delta.get("tool_calls") if isinstance(delta, dict) else None
    calls = [
        _read_call(call, number)
        for number, call in enumerate(listed if isinstance(listed, list) else [])
        if isinstance(call, dict)
    ]
    return Piece(text if isinstance(text, str) else "", tuple(calls))


def _read_call(call: Mapping[str, Any], number: int) -> PartialCall:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # some servers parse them for us
        arguments = json.dumps(arguments)
    index = call.get("index")
    return PartialCall(
        index if isinstance(index, int) else number,
        function.get("name") or "",
        arguments or "",
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
