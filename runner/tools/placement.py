"""Where the arguments of an HTTP tool go: into the path, the query or the body.

{placeholder} in the url            percent-encoded, whole segments only by value
GET, HEAD, DELETE                   the rest into the query
POST, PUT, PATCH                    the rest into the body, as JSON or a form
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from runner.errors import ToolError

Body = Literal["json", "form"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_QUERY_METHODS = ("GET", "DELETE", "HEAD")

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Header names are tokens (RFC 9110 section 5.6.2); values are visible ASCII and blanks.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request in full; headers and url may hold secrets, so no repr."""

    method: str
    url: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    json: object = None
    form: tuple[tuple[str, str], ...] | None = None

    def __repr__(self) -> str:
        return f"Request({self.method} {urlsplit(self.url).hostname})"


@dataclass(frozen=True, slots=True, repr=False)
class RequestBuilder:
    """The fixed part of a tool's requests, and the rule for its arguments."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, Any]
    body: Body = "json"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names in the url, each once, in their order."""
        return tuple(dict.fromkeys(_PLACEHOLDER.findall(self.url)))

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise `ToolError` for a url or header that no request can be made of."""
        try:
            parts = urlsplit(self.url)
            port_is_legal = parts.port is None or parts.port > 0
        except ValueError:
            port_is_legal = False
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ToolError(
                "the url is not one of http:// or https:// with a host",
                hint="write it in full, such as https://api.example.com/orders/{id}",
            )
        if not port_is_legal or "{" in parts.netloc:
            raise ToolError(
                "the host of the url must be fixed: an argument must not choose it"
            )
        properties = parameters.get("properties") or {}
        for name in self.placeholders:
            if name not in properties:
                raise ToolError(
                    f"the url has {{{name}}}, which `parameters` does not describe",
                    hint=f"it describes: {', '.join(properties) or 'nothing'}",
                )
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ToolError(f"{name!r} is not a name for a header")
            if not _HEADER_VALUE.fullmatch(value):
                raise ToolError(
                    f"the header {name!r} has a value with characters that headers "
                    "cannot carry",
                    hint="look for line ends, blanks around it, and non-ASCII letters",
                )

    def place(self, arguments: Mapping[str, Any]) -> Request:
        """Return the request for these arguments; raise `ToolError` if it has none."""
        url = _PLACEHOLDER.sub(lambda match: _segment(match[1], arguments), self.url)
        rest = {
            name: value
            for name, value in arguments.items()
            if name not in self.placeholders
        }
        fixed = _pairs(self.query)
        if self.method in _QUERY_METHODS:
            return Request(self.method, url, fixed + _pairs(rest), self.headers)
        if self.body == "form":
            return Request(self.method, url, fixed, self.headers, form=_pairs(rest))
        return Request(self.method, url, fixed, self.headers, json=rest)


def _segment(name: str, arguments: Mapping[str, Any]) -> str:
    value = arguments.get(name)
    if value is None:
        raise ToolError(f"{name} is missing")
    text = _text(value)
    # A server takes these for "this folder" and "the one above", encoded or not.
    if text.strip() in ("", ".", ".."):
        raise ToolError(f"{name} must not be {text!r}")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise ToolError(f"{name} is not proper text") from error


def _pairs(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Flatten into pairs: a list repeats its name, None is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        members = value if isinstance(value, list | tuple) else [value]
        pairs.extend((name, _text(member)) for member in members if member is not None)
    return tuple(pairs)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
