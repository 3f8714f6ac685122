"""Rules VA407 to VA411: the JSON Schema of a tool's arguments, and what uses them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from runner.config.interpolation import find_placeholders
from runner.config.names import nearest
from runner.config.source import Span
from runner.config.violations import judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.inspection import Inspection
    from runner.config.nodes import Pointer

_HOST = re.compile(r"https?://[^/?#]*")
_ARGUMENT = re.compile(r"\{([^{}]*)\}")


def check_parameters(inspection: Inspection) -> None:
    """`parameters` is a JSON Schema, and its patterns are regular expressions."""
    from runner.config.schema import find_schema_violations

    for tool in inspection.tools():
        path = (*tool, "parameters")
        schema = inspection.get(path, dict)
        if schema is None:
            continue
        violations = find_schema_violations(schema)
        verdict = judge(inspection.document, violations, above=path, rule="VA408")
        inspection.found += verdict.diagnostics
        inspection.unsound |= verdict.unsound
        for where, pattern in _patterns(schema, path):
            if not inspection.is_sound(where):
                continue
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                message = f"`pattern` is not a regular expression: {error}"
                help_ = "single quotes keep backslashes as they are"
                inspection.report(where, "VA410", message, help_)


def check_url_arguments(inspection: Inspection) -> None:
    """Each `{placeholder}` of a url is an argument that every call has."""
    for tool in inspection.tools():
        path = (*tool, "http", "url")
        url = inspection.get(path, str)
        if url is None or not inspection.is_sound((*tool, "parameters")):
            continue
        properties = inspection.get((*tool, "parameters", "properties"), dict) or {}
        required = inspection.get((*tool, "parameters", "required"), list) or []
        _check_host(inspection, path, url)
        for name in dict.fromkeys(_arguments(url)):
            span = _place(inspection, path, name)
            source = inspection.document.source
            if name not in properties:
                message = f"`{{{name}}}` in the url is not a parameter of this tool"
                guess = nearest(name, properties)
                help_ = f"did you mean `{{{guess}}}`?" if guess else None
                help_ = help_ or "declare it under `parameters: {properties: …}`"
                inspection.report_at(source, span, "VA407", message, help_)
            elif name not in required:
                message = f"`{{{name}}}` in the url may be missing from a call"
                help_ = f"add `{name}` to `required`"
                inspection.report_at(source, span, "VA409", message, help_)


def _check_host(inspection: Inspection, path: Pointer, url: str) -> None:
    host = _HOST.match(url)
    if host and any(_arguments(host[0])):
        message = "an argument in the host of the url"
        help_ = "the model must not choose whom to ask; write the host out"
        inspection.report(path, "VA411", message, help_)


def _arguments(url: str) -> Iterator[str]:
    """Yield the names in single braces, those of `${...}` left out."""
    parts, done = [], 0
    for each in find_placeholders(url):
        parts.append(url[done : each.start])
        done = each.end
    parts.append(url[done:])
    for part in parts:
        for found in _ARGUMENT.finditer(part):
            yield found[1]


def _place(inspection: Inspection, path: Pointer, name: str) -> Span:
    whole = inspection.document.value_span(path)
    text = inspection.document.source.text[whole.start : whole.end]
    found = re.search(r"(?<!\$)\{" + re.escape(name) + r"\}", text)
    if found is None:
        return whole
    return Span(whole.start + found.start(), whole.start + found.end())


def _patterns(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Yield every `pattern` keyword of a schema.

    A property that is called "pattern" is a mapping, so it is not taken for one.
    """
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "pattern" and isinstance(each, str):
                yield (*path, key), each
            elif key not in ("default", "examples", "enum", "const"):
                yield from _patterns(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _patterns(each, (*path, index))
