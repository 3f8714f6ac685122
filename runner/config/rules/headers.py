"""Rules VA440 to VA442: the headers of an HTTP tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, replacement
from runner.config.lint.tool_facts import QUERY_METHODS, find_http_tools
from runner.config.rules.rule import rule
from runner.config.spelling import is_surely, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext

# Spelled as their registries have them; headers are the same in any case.
_HEADERS = {
    each.lower().replace("-", "_"): each
    for each in (
        *("Authorization", "Accept", "Accept-Language", "Content-Type", "User-Agent"),
        *("X-Api-Key", "X-Request-Id", "Cache-Control", "If-None-Match", "Cookie"),
        *("Referer", "Origin", "Idempotency-Key"),
    )
}
# What the client works out from the url and from what it sends.
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection"}
_CONTENT_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
}


@rule("VA440", "header-misspelt", "warning")
def header_misspelt(inspection: RuleContext) -> Iterator[Finding]:
    """The name of a header is nearly that of a well-known one.

    A host takes no notice of a header that it does not know.

    Bad:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http:
              url: https://api.example.com/lamps
              headers: {Authorisation: "Bearer ${env:LAMP_TOKEN}"}
            timeout: 2s

    Good:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http:
              url: https://api.example.com/lamps
              headers: {Authorization: "Bearer ${env:LAMP_TOKEN}"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        headers = (*each.path, "headers")
        for name in inspection.get(headers, dict) or ():
            path = (*headers, name)
            plain = name.lower().replace("-", "_")
            if plain in _HEADERS or not inspection.is_sound(path):
                continue
            near = nearest(plain, _HEADERS)
            if near and is_surely(plain, near):
                meant = _HEADERS[near]
                place = inspection.key(path)
                message = f"`{name}` is no header that hosts know"
                fix = replacement(place, name, meant)
                yield Finding(place, message, f"did you mean `{meant}`?", fix)


@rule("VA441", "header-of-the-client", "warning")
def header_of_the_client(inspection: RuleContext) -> Iterator[Finding]:
    """A header is set that the client works out by itself, or contradicts it.

    `Host`, `Content-Length`, `Transfer-Encoding` and `Connection` follow from the url
    and from what is sent; `Content-Type` follows from `body`.

    Bad:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http:
              method: POST
              url: https://api.example.com/lamps
              body: form
              headers: {Content-Type: application/json}
            effect: read
            timeout: 2s

    Good:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http:
              method: POST
              url: https://api.example.com/lamps
              headers: {Content-Type: application/json; charset=utf-8}
            effect: read
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        headers = (*each.path, "headers")
        body = inspection.get((*each.path, "body"), str) or "json"
        for name, value in (inspection.get(headers, dict) or {}).items():
            place = inspection.key((*headers, name))
            if name.lower() in _OWN_HEADERS:
                message = f"`{name}` follows from the url and from what is sent"
                yield Finding(place, message, "take it away")
            elif name.lower() == "content-type" and each.method not in QUERY_METHODS:
                given = str(value).partition(";")[0].strip().lower()
                if given != _CONTENT_TYPES.get(body) and "${" not in given:
                    message = f"the arguments are sent as {body}, and not as {given}"
                    help_ = "take the header away, or set `body`"
                    yield Finding(place, message, help_)


@rule("VA442", "header-twice", "warning")
def header_twice(inspection: RuleContext) -> Iterator[Finding]:
    """Two headers have the same name but for small and capital letters.

    To a host they are one header with two values.

    Bad:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http:
              url: https://api.example.com/lamps
              headers: {Accept: application/json, accept: text/plain}
            timeout: 2s

    Good:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http:
              url: https://api.example.com/lamps
              headers: {Accept: "application/json, text/plain"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        seen: dict[str, str] = {}
        headers = (*each.path, "headers")
        for name in inspection.get(headers, dict) or ():
            first = seen.setdefault(name.lower(), name)
            if first != name:
                message = f"`{name}` is the same header as `{first}`"
                place = inspection.key((*headers, name))
                yield Finding(place, message, "keep one, with both values if need be")
