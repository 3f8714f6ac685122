"""The HTTP tools of an agent file: what they would ask for, as far as that is fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from runner.config.interpolation import find_placeholders
from runner.config.lint.python_files import find_python_tools, read_marks

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator, Mapping

    from runner.config.diagnostics import Place
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


# Methods whose arguments go into the query, and which send no body.
QUERY_METHODS = frozenset({"GET", "HEAD", "DELETE"})
# Replaces `${...}` while a URL is parsed; no host or path contains it.
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
        """The declared `effect`; None without one."""
        return self.inspection.get((*self.tool, "effect"), str)

    @property
    def allows_private(self) -> bool:
        """True if the address may be on this machine or in a private network."""
        return self.inspection.get((*self.path, "allow_private"), bool) is True

    @property
    def host(self) -> str | None:
        """The host in small letters, None where a variable has a part in it."""
        host = self.parts.hostname if self.parts else None
        return None if host is None or _STAND_IN in host else host

    def place(self, part: str) -> Place:
        """Returns the place of a part of the url."""
        at = self.url.find(part)
        path = (*self.path, "url")
        if at < 0:
            return self.inspection.value(path)
        return self.inspection.part(path, at, at + len(part))


def find_http_tools(inspection: RuleContext) -> list[HttpTool]:
    """Returns the HTTP tools with a valid URL, in order."""
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


# Facts about an agent's tools: their names and effects.


_BUILT_IN = {"end_call": "terminal", "current_time": "read"}


def find_definitions(
    inspection: RuleContext,
) -> Mapping[Pointer, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Returns the functions of the Python tools that can be read, by their tool."""
    tools = inspection.fact(find_python_tools)
    return {each.tool: each.definition for each in tools if each.definition is not None}


def find_names(inspection: RuleContext) -> set[str] | None:
    """Returns the names of the tools; None if one of them is not known."""
    if not inspection.is_valid(("tools",)):
        return None
    names = set()
    for index in range(len(inspection.get(("tools",), list) or ())):
        name = name_of_tool(inspection, ("tools", index))
        if name is None:
            return None
        names.add(name)
    return names


def find_effect(inspection: RuleContext, tool: Pointer) -> str | None:
    """Returns the effect of a tool; None if it is not known."""
    effect = inspection.get((*tool, "effect"), str)
    if effect is not None:
        return effect
    if not inspection.is_valid((*tool, "effect")):
        return None
    plugin = plugin_name(inspection, tool)
    if plugin is not None:
        return _BUILT_IN.get(plugin)
    if inspection.get((*tool, "http"), dict) is not None:
        return "read"
    function = inspection.fact(find_definitions).get(tool)
    if function is None:
        return None
    marks = read_marks(function)
    if function.decorator_list and "effect" not in marks:
        return None if _is_computed(function) else "read"
    return str(marks.get("effect", "read"))


def plugin_name(inspection: RuleContext, tool: Pointer) -> str | None:
    """Returns the name under which a tool is installed, None for another kind."""
    name = inspection.get((*tool, "plugin"), str)
    return name or inspection.get((*tool, "plugin", "name"), str)


def name_of_tool(inspection: RuleContext, tool: Pointer) -> str | None:
    """Returns the name of a tool; None if it is not known."""
    name = inspection.get((*tool, "name"), str)
    if name is not None or not inspection.is_valid((*tool, "name")):
        return name
    plugin = plugin_name(inspection, tool)
    if plugin is not None:
        return plugin if plugin in _BUILT_IN else None
    python = inspection.fact(find_python_tools)
    found = next((each for each in python if each.tool == tool), None)
    function = found.definition if found else None
    if found is None or function is None or _is_computed(function):
        return None
    return str(read_marks(function).get("name") or found.function)


def _is_computed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """True if a decorator other than `@tool(...)` with plain values is used."""
    import ast

    for each in function.decorator_list:
        name = each.func if isinstance(each, ast.Call) else each
        said = name.attr if isinstance(name, ast.Attribute) else None
        said = name.id if isinstance(name, ast.Name) else said
        keywords = each.keywords if isinstance(each, ast.Call) else []
        plain = all(isinstance(key.value, ast.Constant) for key in keywords)
        if said != "tool" or not plain or any(key.arg is None for key in keywords):
            return True
    return False


# The JSON Schemas inside the JSON Schemas of the tools' arguments.


# Keywords whose value is one schema, a list of schemas, and schemas by name.
_ONE = (
    "items",
    "contains",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
)
_LISTS = ("prefixItems", "allOf", "anyOf", "oneOf")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
# Errors inside one of these are reported at their own place.
_WITH_SCHEMAS = {*_ONE, *_LISTS, *_NAMED}
# Where a schema may be one of several for the same value: it need not say everything.
_SHARED = {
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    *("dependentSchemas", "$defs", "definitions", "contains", "propertyNames"),
}


@dataclass(frozen=True, slots=True)
class Subschema:
    """A schema at `path`, with its valid keywords.

    `keyword` is the one that contains it, empty for a tool's `parameters`; `depth`
    counts the objects and lists around it.
    """

    path: Pointer
    keywords: dict[str, Any]
    keyword: str = ""
    depth: int = 0

    @property
    def types(self) -> tuple[str, ...]:
        """The types that it names; empty when it names none."""
        types = self.keywords.get("type", ())
        return (types,) if isinstance(types, str) else tuple(types)

    @property
    def is_part(self) -> bool:
        """True if other schemas may describe the same value."""
        return self.keyword in _SHARED


def find_subschemas(inspection: RuleContext) -> tuple[Subschema, ...]:
    """Returns every schema of every tool's arguments, the outer before the inner."""
    return tuple(
        each
        for tool in inspection.tools()
        for each in _walk(inspection, (*tool, "parameters"), "", 0)
    )


def _walk(
    inspection: RuleContext, path: Pointer, keyword: str, depth: int
) -> Iterator[Subschema]:
    schema = inspection.get(path, dict)
    if schema is None:
        return
    sound = {
        key: value
        for key, value in schema.items()
        if inspection.is_valid((*path, key))
        and (key in _WITH_SCHEMAS or inspection.is_whole((*path, key)))
    }
    yield Subschema(path, sound, keyword, depth)
    for key, inner in _inner(sound):
        deeper = depth + (key in ("properties", "items", "prefixItems"))
        yield from _walk(inspection, (*path, key, *inner), key, deeper)


def _inner(keywords: dict[str, Any]) -> Iterator[tuple[str, Pointer]]:
    for keyword, value in keywords.items():
        if keyword in _ONE and isinstance(value, dict):
            yield keyword, ()
        elif keyword in _LISTS and isinstance(value, list):
            for index in range(len(value)):
                yield keyword, (index,)
        elif keyword in _NAMED and isinstance(value, dict):
            for name in value:
                yield keyword, (name,)


def tool_name(inspection: RuleContext, tool: Pointer) -> tuple[str, Pointer] | None:
    """Returns the name of a tool and the path of the name, if it is known."""
    for keys in (("name",), ("python",), ("plugin",), ("plugin", "name")):
        value = inspection.get((*tool, *keys), str)
        if value is not None:
            return value.rpartition(":")[2], (*tool, *keys)
    return None
