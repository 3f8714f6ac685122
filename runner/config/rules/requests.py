"""Rules VA436 to VA444, but for headers: what an HTTP tool sends, and for how long."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from runner.config.diagnostics import Finding
from runner.config.durations import parse_duration
from runner.config.lint.tool_facts import QUERY_METHODS, find_http_tools
from runner.config.rules.rule import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext

_SERVICE_SECONDS = 120.0  # after which the service has given a call up by itself


@rule("VA436", "query-twice", "warning")
def query_twice(inspection: RuleContext) -> Iterator[Finding]:
    """An HTTP tool would send the same query parameter twice.

    The arguments of GET, HEAD and DELETE that have no `{placeholder}` go into the
    query, beside `query` and what the url itself has. Which of two counts is up to the
    host.

    Bad:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            parameters:
              type: object
              properties: {colour: {type: string, enum: [red, blue]}}
            http: {url: "https://api.example.com/lamps?colour=red"}
            timeout: 2s

    Good:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            parameters:
              type: object
              properties: {colour: {type: string, enum: [red, blue]}}
            http: {url: "https://api.example.com/lamps?in_stock=yes"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        query = inspection.get((*each.path, "query"), dict) or {}
        sent = set(query)
        if each.method in QUERY_METHODS:
            sent |= {n for n in each.properties if f"{{{n}}}" not in each.url}
            for name in query:
                if name in each.properties and f"{{{name}}}" not in each.url:
                    message = f"the argument `{name}` goes into the query, too"
                    place = inspection.key((*each.path, "query", name))
                    yield Finding(place, message, "give one of them another name")
        text = each.parts.query if each.parts else ""
        for name in dict.fromkeys(name for name, _ in parse_qsl(text, True)):
            if name in sent:
                what = "`query`" if name in query else "an argument"
                message = f"`{name}` is sent twice: {what} is called so, too"
                yield Finding(each.place(f"{name}="), message, "leave one of them out")


@rule("VA437", "body-unused", "warning")
def body_unused(inspection: RuleContext) -> Iterator[Finding]:
    """`body` says how the arguments are sent, but they are sent in the query.

    Only POST, PUT and PATCH have a body.

    Bad:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http: {url: "https://api.example.com/lamps", body: form}
            timeout: 2s

    Good:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http: {url: "https://api.example.com/lamps", method: POST, body: form}
            effect: read
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        path = (*each.path, "body")
        if each.method in QUERY_METHODS and inspection.get(path, str) is not None:
            if not inspection.is_sound((*each.path, "method")):
                continue
            message = f"{each.method} sends no body; the arguments go into the query"
            help_ = "take `body` away, or say `method: POST`"
            yield Finding(inspection.key(path), message, help_)


@rule("VA438", "effect-unsaid", "warning")
def effect_unsaid(inspection: RuleContext) -> Iterator[Finding]:
    """A tool sends PUT, PATCH or DELETE, and does not say that this changes something.

    Without `effect: write` a call is cancelled half way when the caller interrupts, and
    tried again when the host is not reached. Nothing is said about POST, by which many
    services are only asked.

    Bad:
        tools:
          - name: cancel_order
            description: Cancel an order, once the caller has confirmed it.
            http: {method: DELETE, url: "https://api.example.com/orders/last"}
            timeout: 2s

    Good:
        tools:
          - name: cancel_order
            description: Cancel an order, once the caller has confirmed it.
            http: {method: DELETE, url: "https://api.example.com/orders/last"}
            effect: write
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        says = inspection.is_sound((*each.tool, "effect")) and each.effect is None
        if says and each.method in ("PUT", "PATCH", "DELETE"):
            place = inspection.value((*each.path, "method"))
            message = f"{each.method} changes something, and the tool has no `effect`"
            help_ = "add `effect: write`, or `effect: read` if nothing is changed"
            yield Finding(place, message, help_)


@rule("VA439", "retries-unused", "warning")
def retries_unused(inspection: RuleContext) -> Iterator[Finding]:
    """`retries` stands in a tool that is never tried again.

    What changes something is asked once: nobody knows whether the first request
    arrived.

    Bad:
        tools:
          - name: cancel_order
            description: Cancel an order, once the caller has confirmed it.
            http:
              method: DELETE
              url: https://api.example.com/orders/last
              retries: 3
            effect: write
            timeout: 2s

    Good:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            http: {url: "https://api.example.com/lamps", retries: 3}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        path = (*each.path, "retries")
        if not each.settings.get("retries"):
            continue
        what = None
        if each.effect in ("write", "terminal"):
            what = f"a tool with `effect: {each.effect}`"
        elif each.method in ("POST", "PATCH"):
            what = f"a {each.method}"
        if what:
            message = f"{what} is never tried again"
            yield Finding(inspection.key(path), message, "take `retries` away")


@rule("VA443", "timeout-too-long", "warning")
def timeout_too_long(inspection: RuleContext) -> Iterator[Finding]:
    """A tool may take longer than anybody waits for it.

    The service gives a call up after two minutes, whatever the file says, and a call
    that is over has no use for a result.

    Bad:
        tools:
          - python: tools/shop.py:lookup
            timeout: 200s
            announce: Let me look that up.

    Good:
        tools:
          - python: tools/shop.py:lookup
            timeout: 20s
            announce: Let me look that up.
    """
    limit_path = ("session", "max_duration")
    limit = inspection.get(limit_path, str)
    for tool in inspection.tools():
        path = (*tool, "timeout")
        text = inspection.get(path, str)
        if text is None:
            continue
        seconds = parse_duration(text)
        if seconds > _SERVICE_SECONDS:
            message = f"`timeout` is {text}; the service gives up after 120s"
            yield Finding(inspection.value(path), message, "make it shorter")
        elif limit is not None and seconds >= parse_duration(limit):
            message = f"`timeout` is {text}, and the whole call lasts {limit} at most"
            yield Finding(inspection.value(path), message, "make it shorter")


@rule("VA444", "argument-not-replaced", "warning")
def argument_not_replaced(inspection: RuleContext) -> Iterator[Finding]:
    """An argument in braces stands where nothing replaces it.

    Arguments fill the `{placeholders}` of the url alone; in a header or in `query` the
    braces would be sent as they stand.

    Bad:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            parameters:
              type: object
              properties: {colour: {type: string, enum: [red, blue]}}
            http:
              url: https://api.example.com/lamps
              headers: {X-Colour: "{colour}"}
            timeout: 2s

    Good:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            parameters:
              type: object
              properties: {colour: {type: string, enum: [red, blue]}}
              required: [colour]
            http: {url: "https://api.example.com/lamps/{colour}"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        for field in ("headers", "query"):
            fixed = inspection.get((*each.path, field), dict) or {}
            for name in fixed:
                path = (*each.path, field, name)
                text = inspection.get(path, str) or ""
                for found in re.finditer(r"(?<!\$)\{(\w+)\}", text):
                    if found[1] in each.properties:
                        where = "a header" if field == "headers" else "`query`"
                        message = f"`{found[0]}` is not replaced in {where}"
                        help_ = "arguments fill the braces of the url only"
                        place = inspection.part(path, *found.span())
                        yield Finding(place, message, help_)
