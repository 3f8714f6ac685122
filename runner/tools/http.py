"""The tool kind `http`: an endpoint called with the arguments; no code.

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
_EXCERPT = 200  # characters of a failed answer that the model is told

# Where services put the sentence in a JSON error.
_ERROR_KEYS = ("error", "message", "detail", "error_description", "title", "reason")


class HttpKind:
    """Builds HTTP tools; loads httpx only when there is one."""

    key = "http"

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema of the key's value, as the packaged agent schema has it."""
        return builtin_kinds()["http"]

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None  # slow to load, shared by all tools

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        """Check the settings and build the tool."""
        # Only an agent with an http tool pays for loading httpx.
        from runner.tools.http_client import HttpClient, RequestBuilder, open_context

        settings = config.settings
        if not isinstance(settings, Mapping) or not isinstance(
            settings.get("url"), str
        ):
            raise ToolError("an http tool needs a url", hint="http: {url: https://…}")
        placement = RequestBuilder(
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
        placement.check(definition.parameters)
        if self._context is None:
            self._context = open_context()
        retries = int(settings.get("retries", _RETRIES))
        fetcher = HttpClient(
            placement.host,
            allow_private=bool(settings.get("allow_private", False)),
            retries=retries if definition.effect == "read" else 0,
            timeout=definition.timeout,
            context=self._context,
        )
        return HttpTool(definition, placement, fetcher)


@dataclass(frozen=True, slots=True)
class HttpTool:
    """One endpoint; the result is what it answers."""

    definition: ToolDefinition
    placement: RequestBuilder
    fetcher: HttpClient

    async def run(self, arguments: Mapping[str, Any]) -> object:
        answer = await self.fetcher.fetch(self.placement.place(arguments))
        return read_answer(answer, self.placement.host)

    async def close(self) -> None:
        await self.fetcher.close()


def read_answer(answer: HttpResponse, host: str) -> object:
    """Return what an answer says: a JSON value, or text.

    Raises `ToolError` for a status of failure, with the service's own sentence where it
    gives one, and for what cannot be told in words.
    """
    if not 200 <= answer.status < 300:
        words = _excerpt(answer) or answer.reason
        said = f": {words}" if words else ""
        raise ToolError(f"{host} answered {answer.status}{said}")
    if not answer.body.strip():
        return {"status": answer.status}
    kind = answer.content_type
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise ToolError(f"{host} answered something that is not JSON") from error
    if kind and not kind.startswith("text/") and kind != "application/xml":
        raise ToolError(f"{host} answered with {kind[:60]}, which is not text")
    text = _decode(answer)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    # Text that happens to be JSON: only its containers are surely meant so.
    return value if isinstance(value, dict | list) else text


def _excerpt(answer: HttpResponse) -> str:
    """Return the sentence in a failed answer, if it holds one that can be said."""
    if answer.content_type == "text/plain":
        first = _decode(answer).strip().partition("\n")[0]
        return first[:_EXCERPT]
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    for _ in range(3):  # {"error": {"message": "…"}}
        if isinstance(value, str):
            return " ".join(value.split())[:_EXCERPT]
        if not isinstance(value, dict):
            return ""
        value = next((value[key] for key in _ERROR_KEYS if value.get(key)), None)
    return ""


def _decode(answer: HttpResponse) -> str:
    try:
        return answer.body.decode(answer.charset or "utf-8", errors="replace")
    except LookupError:  # a charset that Python does not know
        return answer.body.decode(errors="replace")
