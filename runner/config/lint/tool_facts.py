"""The HTTP tools of an agent file: what they would ask for, as far as that is fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from runner.config.interpolation import find_placeholders

if TYPE_CHECKING:
    from runner.config.diagnostics import Place
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

# Methods whose arguments go into the query, and which send no body.
QUERY_METHODS = frozenset({"GET", "HEAD", "DELETE"})
# What stands for a `${...}` while a url is taken apart; no host or path has it.
_STAND_IN = "\0"


@dataclass(frozen=True, slots=True)
class HttpTool:
    """One `http:` entry; `parts` is its url taken apart, None where it cannot be."""

    tool: Pointer
    url: str
    parts: SplitResult | None
    settings: dict[str, Any]
    properties: dict[str, Any]
    inspection: RuleContext

    @property
    def path(self) -> Pointer:
        """The path of the mapping under `http`."""
        return (*self.tool, "http")

    @property
    def method(self) -> str:
        """The method, by default GET."""
        return self.inspection.get((*self.path, "method"), str) or "GET"

    @property
    def effect(self) -> str | None:
        """What the file says that a call does to the world; None: nothing."""
        return self.inspection.get((*self.tool, "effect"), str)

    @property
    def allows_private(self) -> bool:
        """Whether the address may be on this machine or in a private network."""
        return self.inspection.get((*self.path, "allow_private"), bool) is True

    @property
    def host(self) -> str | None:
        """The host in small letters, None where a variable has a part in it."""
        host = self.parts.hostname if self.parts else None
        return None if host is None or _STAND_IN in host else host

    def place(self, part: str) -> Place:
        """Return the place of a part of the url."""
        at = self.url.find(part)
        path = (*self.path, "url")
        if at < 0:
            return self.inspection.value(path)
        return self.inspection.part(path, at, at + len(part))


def find_http_tools(inspection: RuleContext) -> list[HttpTool]:
    """Return the HTTP tools whose url is sound, in order."""
    found = []
    for tool in inspection.tools():
        url = inspection.get((*tool, "http", "url"), str)
        if url is None:
            continue
        settings = inspection.get((*tool, "http"), dict) or {}
        described = (*tool, "parameters", "properties")
        properties = inspection.get(described, dict) or {}
        parts = _take_apart(url)
        found.append(HttpTool(tool, url, parts, settings, properties, inspection))
    return found


def _take_apart(url: str) -> SplitResult | None:
    pieces, done = [], 0
    for each in find_placeholders(url):
        pieces += [url[done : each.start], _STAND_IN]
        done = each.end
    try:
        return urlsplit("".join(pieces) + url[done:])
    except ValueError:
        return None
