"""The tool kind `http`: calls an HTTP endpoint with the arguments.

http:
  method: GET
  url: https://api.example.com/orders/{order_id}
  headers: {Authorization: "Bearer ${env:ORDERS_TOKEN}"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.config.model import AgentConfig, ToolConfig
from runner.config.schema import builtin_kinds
from runner.errors import ToolError
from runner.tools.tool import Tool, ToolDefinition, ToolTraits, define_tool

if TYPE_CHECKING:
    import ssl

    from runner.tools.http_client import HttpClient, HttpResponse, RequestBuilder

_RETRIES = 2
_MAX_EXCERPT_LENGTH = 200  # characters of an error response for the model

# Keys of the message in a JSON error, by precedence.
_UNAUTHORIZED = (401, 403)
_ERROR_KEYS = ("error", "message", "detail", "error_description", "title", "reason")


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
        ]
        return HttpTool(definition, builder, client, tuple(agent.secrets_in(sent)))


@dataclass(frozen=True, slots=True)
class HttpTool:
    """Calls one endpoint; the result is the content of the response."""

    definition: ToolDefinition
    builder: RequestBuilder
    client: HttpClient
    secrets: tuple[str, ...] = ()  # environment variables whose values are sent

    async def run(self, arguments: Mapping[str, Any]) -> object:
        response = await self.client.fetch(self.builder.build(arguments))
        if response.status in _UNAUTHORIZED:
            raise self._unauthorized(response)
        return read_response(response, self.builder.host)

    def _unauthorized(self, response: HttpResponse) -> ToolError:
        """Returns the error of a refused token, with its variable for the person."""
        name = self.definition.name
        if self.secrets:
            hint = f"check {' and '.join(self.secrets)}, which the tool '{name}' sends"
        else:
            hint = f"add a token to the `headers` of the tool '{name}'"
        return ToolError(_status_text(response, self.builder.host), hint=hint)

    async def close(self) -> None:
        await self.client.close()


def _status_text(response: HttpResponse, host: str) -> str:
    reason = _excerpt(response) or response.reason
    suffix = f": {reason}" if reason else ""
    return f"{host} answered {response.status}{suffix}"


def read_response(response: HttpResponse, host: str) -> object:
    """Returns the content of a response: a JSON value or text.

    Raises `ToolError` for an error status, with the message of the service if there is
    one, and for content that is not text.
    """
    if not 200 <= response.status < 300:
        raise ToolError(_status_text(response, host))
    if not response.body.strip():
        return {"status": response.status}
    kind = response.content_type
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return json.loads(response.body)
        except (ValueError, RecursionError) as error:
            raise ToolError(f"{host} answered something that is not JSON") from error
    if kind and not kind.startswith("text/") and kind != "application/xml":
        raise ToolError(f"{host} answered with {kind[:60]}, which is not text")
    text = _decode(response)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    # Plain text such as "12" may be JSON by accident; an object or a list is not.
    return value if isinstance(value, dict | list) else text


def _excerpt(response: HttpResponse) -> str:
    """Returns the message of an error response, or an empty text."""
    if response.content_type == "text/plain":
        first = _decode(response).strip().partition("\n")[0]
        return first[:_MAX_EXCERPT_LENGTH]
    try:
        value = json.loads(response.body)
    except (ValueError, RecursionError):
        return ""
    for _ in range(3):  # {"error": {"message": "…"}}
        if isinstance(value, str):
            return " ".join(value.split())[:_MAX_EXCERPT_LENGTH]
        if not isinstance(value, dict):
            return ""
        value = next((value[key] for key in _ERROR_KEYS if value.get(key)), None)
    return ""


def _decode(response: HttpResponse) -> str:
    try:
        return response.body.decode(response.charset or "utf-8", errors="replace")
    except LookupError:  # a charset that Python does not know
        return response.body.decode(errors="replace")
