"""Rules VA407, VA409 and VA411: what an HTTP tool asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, replacement
from runner.config.interpolation import find_placeholders
from runner.config.rules.rule import rule
from runner.config.spelling import is_surely, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Place
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

_HOST = r"https?://[^/?#]*"
_ARGUMENT = r"\{([^{}]*)\}"


@rule("VA407", "url-argument-unknown")
def url_argument_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """A `{placeholder}` of a url is not a parameter of the tool.

    Nothing would ever stand in its place.

    Bad:
        tools:
          - name: lookup_order
            description: Look up an order.
            http: {url: "https://api.example.com/orders/{order_id}"}

    Good:
        tools:
          - name: lookup_order
            description: Look up an order.
            parameters:
              type: object
              properties: {order_id: {type: string, pattern: "[0-9]{4}"}}
              required: [order_id]
            http: {url: "https://api.example.com/orders/{order_id}"}
    """
    for tool, url in _urls(inspection):
        known = inspection.get((*tool, "parameters", "properties"), dict) or {}
        for name in dict.fromkeys(name for name, _ in find_arguments(url)):
            if name in known:
                continue
            guess = nearest(name, known)
            message = f"`{{{name}}}` in the url is not a parameter of this tool"
            help_, fix = "declare it under `parameters: {properties: …}`", None
            place = place_of_argument(inspection, tool, url, name)
            if guess:
                help_ = f"did you mean `{{{guess}}}`?"
                is_safe = is_surely(name, guess)
                fix = replacement(place, f"{{{name}}}", f"{{{guess}}}", is_safe=is_safe)
            yield Finding(place, message, help_, fix)


@rule("VA409", "url-argument-optional")
def url_argument_optional(inspection: RuleContext) -> Iterator[Finding]:
    """A `{placeholder}` of a url is an argument that a call may leave out.

    Then there would be no address to ask.

    Bad:
        tools:
          - name: lookup_order
            description: Look up an order.
            parameters:
              type: object
              properties: {order_id: {type: string, pattern: "[0-9]{4}"}}
            http: {url: "https://api.example.com/orders/{order_id}"}

    Good:
        tools:
          - name: lookup_order
            description: Look up an order.
            parameters:
              type: object
              properties: {order_id: {type: string, pattern: "[0-9]{4}"}}
              required: [order_id]
            http: {url: "https://api.example.com/orders/{order_id}"}
    """
    for tool, url in _urls(inspection):
        known = inspection.get((*tool, "parameters", "properties"), dict) or {}
        required = inspection.get((*tool, "parameters", "required"), list) or []
        for name in dict.fromkeys(name for name, _ in find_arguments(url)):
            if name in known and name not in required:
                place = place_of_argument(inspection, tool, url, name)
                message = f"`{{{name}}}` in the url may be missing from a call"
                yield Finding(place, message, f"add `{name}` to `required`")


@rule("VA411", "argument-in-host")
def argument_in_host(inspection: RuleContext) -> Iterator[Finding]:
    """An argument stands in the host of a url.

    The model, and with it whoever is on the telephone, would choose whom to ask and
    who is given the headers.

    Bad:
        tools:
          - name: ask
            description: Ask a branch.
            parameters:
              type: object
              properties: {branch: {type: string, enum: [north, south]}}
              required: [branch]
            http: {url: "https://{branch}.example.com/stock"}

    Good:
        tools:
          - name: ask
            description: Ask a branch.
            parameters:
              type: object
              properties: {branch: {type: string, enum: [north, south]}}
              required: [branch]
            http: {url: "https://api.example.com/{branch}/stock"}
    """
    for tool, url in _urls(inspection):
        host = re.match(_HOST, url)
        if host and any(find_arguments(host[0])):
            message = "an argument in the host of the url"
            help_ = "the model must not choose whom to ask; write the host out"
            yield Finding(inspection.value((*tool, "http", "url")), message, help_)


def find_arguments(url: str) -> Iterator[tuple[str, int]]:
    """Yield each name in single braces and where its brace is, `${...}` left out."""
    taken = [(each.start, each.end) for each in find_placeholders(url)]
    for found in re.finditer(_ARGUMENT, url):
        if not any(start <= found.start() < end for start, end in taken):
            yield found[1], found.start()


def place_of_argument(
    inspection: RuleContext, tool: Pointer, url: str, name: str
) -> Place:
    """The place of the first `{name}` of a url."""
    at = next(at for each, at in find_arguments(url) if each == name)
    return inspection.part((*tool, "http", "url"), at, at + len(name) + 2)


def _urls(inspection: RuleContext) -> Iterator[tuple[Pointer, str]]:
    """Yield the http tools whose parameters are sound, each with its url."""
    for tool in inspection.tools():
        url = inspection.get((*tool, "http", "url"), str)
        if url is not None and inspection.is_sound((*tool, "parameters")):
            yield tool, url
