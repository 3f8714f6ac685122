"""The tool kind `http`: calls an HTTP endpoint with the arguments.

http:
  method: GET
  url: https://api.example.com/orders/{order_id}
  headers: {Authorization: "Bearer ${env:ORDERS_TOKEN}"}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.config.model import AgentConfig, ToolConfig
from runner.config.schema import builtin_kinds
from runner.errors import ToolError
from runner.redaction import Redactor
from runner.tools.tool import Tool, ToolDefinition, ToolTraits, define_tool

if TYPE_CHECKING:
    import ssl

    from runner.tools.http_client import HttpClient, HttpResponse, RequestBuilder

_RETRIES = 2
_MAX_EXCERPT_LENGTH = 250  # characters of an error response for the model
_MAX_ERRORS = 5  # of one response for the model
_MAX_ERROR_DEPTH = 4

# Keys of the message in a JSON error, by precedence.
_ERROR_KEYS = (
    "error", "message", "msg", "detail", "error_description", "title", "reason",
)  # fmt: skip
# Keys of more messages: a list, or an object of lists by the name of a field.
_DETAIL_KEYS = ("errors", "details", "issues", "violations", "invalid-params")
# Keys of the part of the request that an error is about.
_PLACE_KEYS = ("loc", "field", "param", "path", "pointer", "name")

# Types outside of text/ that are text, in addition to those that end with a suffix.
_TEXT_TYPES = re.compile(
    r"text/.*|.*\+(?:json|xml|yaml|json-seq)"
    r"|application/(?:x-)?(?:json|ndjson|jsonlines|jsonl|json5|xml|yaml|toml|sql|csv"
    r"|graphql|javascript|ecmascript|www-form-urlencoded)"
)
_JSON_TYPES = re.compile(r"(?:application|text)/(?:x-)?json|.*\+json")
_BINARY_TYPES = re.compile(r"(?:image|audio|video|font|model)/.*|multipart/.*")
# Control characters that text does not contain.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_UNAUTHORIZED = (401, 403)


class HttpKind:
    """Builds HTTP tools."""

    key = "http"

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema of the settings, from the packaged agent schema."""
        return builtin_kinds()["http"]

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None  # slow to load, so shared

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        """Checks the settings and builds the tool."""
        # Loads httpx, which agents without an HTTP tool do not need.
        from runner.tools.http_client import HttpClient, RequestBuilder, open_context

        settings = config.settings
        if not isinstance(settings, Mapping) or not isinstance(
            settings.get("url"), str
        ):
            raise ToolError("an http tool needs a url", hint="http: {url: https://…}")
        builder = RequestBuilder(
            method=str(settings.get("method", "GET")).upper(),
            url=settings["url"],
            headers={
                str(name): str(value)
                for name, value in (settings.get("headers") or {}).items()
            },
            query=settings.get("query") or {},
            body=settings.get("body", "json"),
            fields=settings.get("fields") or {},
        )
        definition = define_tool(config, config.parameters or {}, ToolTraits())
        builder.check(definition.parameters)
        if self._context is None:
            self._context = open_context()
        retries = int(settings.get("retries", _RETRIES))
        client = HttpClient(
            builder.host,
            allow_private=bool(settings.get("allow_private", False)),
            retries=retries if definition.effect == "read" else 0,
            timeout=definition.timeout,
            context=self._context,
        )
        sent = [
            settings["url"],
            *builder.headers.values(),
            *map(str, builder.query.values()),
            str(builder.fields),
        ]
        secrets, redactor = tuple(agent.secrets_in(sent)), Redactor(agent.secrets)
        return HttpTool(definition, builder, client, secrets, redactor.text)


@dataclass(frozen=True, slots=True)
class HttpTool:
    """Calls one endpoint; the result is the content of the response."""

    definition: ToolDefinition
    builder: RequestBuilder
    client: HttpClient
    secrets: tuple[str, ...] = ()  # environment variables whose values are sent
    redact: Callable[[str], str] = str

    async def run(self, arguments: Mapping[str, Any]) -> object:
        response = await self.client.fetch(self.builder.build(arguments))
        if response.status in _UNAUTHORIZED:
            raise self._unauthorized(response)
        return read_response(response, self.builder.host, self.redact)

    def _unauthorized(self, response: HttpResponse) -> ToolError:
        """Returns the error of a refused token, with its variable for the person."""
        name = self.definition.name
        if self.secrets:
            hint = f"check {' and '.join(self.secrets)}, which the tool '{name}' sends"
        else:
            hint = f"add a token to the `headers` of the tool '{name}'"
        text = _status_text(response, self.builder.host, self.redact)
        return ToolError(text, hint=hint)

    async def close(self) -> None:
        await self.client.close()


def _status_text(
    response: HttpResponse, host: str, redact: Callable[[str], str]
) -> str:
    reason = _excerpt(response, redact) or response.reason
    suffix = f": {reason}" if reason else ""
    return f"{host} answered {response.status}{suffix}"


def read_response(
    response: HttpResponse, host: str, redact: Callable[[str], str] = str
) -> object:
    """Returns the content of a response: a JSON value or text.

    Raises `ToolError` for an error status, with the message of the service if there is
    one, and for content that is not text.
    """
    if not 200 <= response.status < 300:
        raise ToolError(_status_text(response, host, redact))
    if not response.body.strip():
        return {"status": response.status}
    kind = response.content_type
    if _JSON_TYPES.fullmatch(kind):
        try:
            return _read_json(response)
        except (ValueError, RecursionError) as error:
            raise ToolError(f"{host} answered something that is not JSON") from error
    text = _read_text(response)
    if text is None:
        raise ToolError(f"{host} answered with {redact(kind)[:60]}, which is not text")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    # Plain text such as "12" may be JSON by accident; an object or a list is not.
    return value if isinstance(value, dict | list) else text


def _read_json(response: HttpResponse) -> object:
    try:
        return json.loads(response.body)
    except UnicodeDecodeError:  # not UTF-8, UTF-16 or UTF-32, as JSON has to be
        if not response.charset:
            raise
        return json.loads(_decode(response))


def _read_text(response: HttpResponse) -> str | None:
    """Returns the text of a response, or None if it is not text.

    Without a type that decides it, text is what decodes without control characters.
    """
    kind = response.content_type
    if not kind or _TEXT_TYPES.fullmatch(kind):
        return _decode(response)
    if _BINARY_TYPES.fullmatch(kind):
        return None
    try:
        text = response.body.decode(response.charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return None
    return None if _CONTROL.search(text) else text


def _excerpt(response: HttpResponse, redact: Callable[[str], str]) -> str:
    """Returns the message of an error response, or an empty text.

    Redacts it before it cuts, because a part of a secret is not found any more.
    """
    if response.content_type == "text/plain":
        text = redact(_decode(response)).strip().partition("\n")[0]
    else:
        try:
            value = _read_json(response)
        except (ValueError, RecursionError):
            return ""
        messages = dict.fromkeys(_messages(value, redact, 0))
        text = "; ".join(list(messages)[:_MAX_ERRORS])
    return text[:_MAX_EXCERPT_LENGTH]


def _messages(value: object, redact: Callable[[str], str], depth: int) -> Iterator[str]:
    """Yields the messages in a JSON error, each with the place that it is about."""
    if isinstance(value, str):
        text = " ".join(redact(value).split())
        if text:
            yield text
    elif depth >= _MAX_ERROR_DEPTH:
        return
    elif isinstance(value, list):
        for each in value:
            yield from _messages(each, redact, depth + 1)
    elif isinstance(value, dict):
        yield from _messages_of_object(value, redact, depth)


def _messages_of_object(
    value: dict[str, object], redact: Callable[[str], str], depth: int
) -> Iterator[str]:
    place = next((value[key] for key in _PLACE_KEYS if value.get(key)), None)
    names = place if isinstance(place, list) else [place]
    where = ".".join(str(each) for each in names if isinstance(each, str | int))
    prefix = f"{' '.join(redact(where).split())}: " if where else ""
    message = next((value[key] for key in _ERROR_KEYS if value.get(key)), None)
    for each in _messages(message, redact, depth + 1):
        yield f"{prefix}{each}"
    for key in _DETAIL_KEYS:
        yield from _messages(value.get(key), redact, depth + 1)
    if message is None and not any(value.get(key) for key in _DETAIL_KEYS):
        # {"day": ["is in the past"]}, as frameworks report the errors of a form
        for name, members in value.items():
            if isinstance(members, list):
                for text in _messages(members, redact, depth + 1):
                    yield f"{' '.join(redact(name).split())}: {text}"


def _decode(response: HttpResponse) -> str:
    try:
        return response.body.decode(response.charset or "utf-8", errors="replace")
    except LookupError:  # a charset that Python does not know
        return response.body.decode(errors="replace")
