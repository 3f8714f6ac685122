"""Rules VA407, VA409, VA411 and VA436 to VA444: requests of HTTP tools."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from runner.config.diagnostics import Finding, replacement
from runner.config.durations import parse_duration
from runner.config.interpolation import find_placeholders
from runner.config.lint.context import rule
from runner.config.lint.tool_facts import QUERY_METHODS, find_http_tools
from runner.config.spelling import is_certain_guess, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Place
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


_HOST = r"https?://[^/?#]*"
_ARGUMENT = r"\{([^{}]*)\}"


@rule("VA407", "url-argument-unknown")
def url_argument_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """A `{placeholder}` in a URL is not a parameter of the tool.

    It would never be replaced.

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
            message = f"`{{{name}}}` in the URL is not a parameter of this tool"
            help_, fix = "declare it under `parameters: {properties: …}`", None
            place = place_of_argument(inspection, tool, url, name)
            if guess:
                help_ = f"did you mean `{{{guess}}}`?"
                is_safe = is_certain_guess(name, guess)
                fix = replacement(place, f"{{{name}}}", f"{{{guess}}}", is_safe=is_safe)
            yield Finding(place, message, help_, fix)


@rule("VA409", "url-argument-optional")
def url_argument_optional(inspection: RuleContext) -> Iterator[Finding]:
    """A `{placeholder}` in a URL is an optional argument.

    Without the argument the URL is incomplete.

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
                message = f"`{{{name}}}` in the URL is an optional argument"
                yield Finding(place, message, f"add `{name}` to `required`")


@rule("VA411", "argument-in-host")
def argument_in_host(inspection: RuleContext) -> Iterator[Finding]:
    """The host of a URL contains an argument.

    The model, and so the caller, could choose the host that receives the request and
    its headers.

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
            message = "the host of the URL contains an argument"
            help_ = "write the host in full; the model must not choose it"
            yield Finding(inspection.value((*tool, "http", "url")), message, help_)


def find_arguments(url: str) -> Iterator[tuple[str, int]]:
    """Yields each name in single braces and where its brace is, `${...}` left out."""
    taken = [(each.start, each.end) for each in find_placeholders(url)]
    for found in re.finditer(_ARGUMENT, url):
        if not any(start <= found.start() < end for start, end in taken):
            yield found[1], found.start()


def place_of_argument(
    inspection: RuleContext, tool: Pointer, url: str, name: str
) -> Place:
    """Returns the place of the first `{name}` of a URL."""
    at = next(at for each, at in find_arguments(url) if each == name)
    return inspection.part((*tool, "http", "url"), at, at + len(name) + 2)


def _urls(inspection: RuleContext) -> Iterator[tuple[Pointer, str]]:
    """Yields the HTTP tools with valid parameters, each with its URL."""
    for tool in inspection.tools():
        url = inspection.get((*tool, "http", "url"), str)
        if url is not None and inspection.is_valid((*tool, "parameters")):
            yield tool, url


# Rules VA436 to VA439, VA443 and VA444: query, body, effect, retries and timeout.


_SERVICE_SECONDS = 120.0  # the service cancels a tool call after this


@rule("VA436", "query-twice", "warning")
def query_twice(inspection: RuleContext) -> Iterator[Finding]:
    """An HTTP tool has two values for one query parameter or field of the body.

    The arguments of GET, HEAD and DELETE that have no `{placeholder}` go into the
    query, together with `query` and the query of the URL. The host decides which of two
    values counts. In a body, a value of `fields` replaces the argument of its name.

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
                    message = f"the argument `{name}` also goes into the query"
                    place = inspection.key((*each.path, "query", name))
                    yield Finding(place, message, "give one of them another name")
        else:
            for name in inspection.get((*each.path, "fields"), dict) or ():
                if name in each.properties and f"{{{name}}}" not in each.url:
                    message = f"the argument `{name}` is replaced by `fields`"
                    place = inspection.key((*each.path, "fields", name))
                    yield Finding(place, message, "remove it from `parameters`")
        text = each.parts.query if each.parts else ""
        for name in dict.fromkeys(name for name, _ in parse_qsl(text, True)):
            if name in sent:
                what = "`query`" if name in query else "an argument"
                message = f"`{name}` is sent twice: {what} has the same name"
                yield Finding(each.place(f"{name}="), message, "remove one of them")


@rule("VA437", "body-unused", "warning")
def body_unused(inspection: RuleContext) -> Iterator[Finding]:
    """`body` or `fields` is set, but the arguments are sent in the query.

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
        if each.method not in QUERY_METHODS:
            continue
        for name, kind in (("body", str), ("fields", dict)):
            path = (*each.path, name)
            if not inspection.get(path, kind):
                continue
            if not inspection.is_valid((*each.path, "method")):
                continue
            message = f"{each.method} sends no body; the arguments go into the query"
            help_ = f"remove `{name}`, or set `method: POST`"
            yield Finding(inspection.key(path), message, help_)


@rule("VA438", "effect-unsaid", "warning")
def effect_unsaid(inspection: RuleContext) -> Iterator[Finding]:
    """A tool sends PUT, PATCH or DELETE and has no `effect`.

    Without `effect: write` a tool call is cancelled halfway when the caller interrupts,
    and retried when the host is not reached. POST is not checked, because many services
    use it for queries.

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
        says = inspection.is_valid((*each.tool, "effect")) and each.effect is None
        if says and each.method in ("PUT", "PATCH", "DELETE"):
            place = inspection.value((*each.path, "method"))
            message = f"{each.method} changes data, but the tool has no `effect`"
            help_ = "add `effect: write`, or `effect: read` if it changes nothing"
            yield Finding(place, message, help_)


@rule("VA439", "retries-unused", "warning")
def retries_unused(inspection: RuleContext) -> Iterator[Finding]:
    """`retries` is set for a tool that is never retried.

    A request that changes data is sent once, because the first one may have arrived.

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
            message = f"{what} is never retried"
            yield Finding(inspection.key(path), message, "remove `retries`")


@rule("VA443", "timeout-too-long", "warning")
def timeout_too_long(inspection: RuleContext) -> Iterator[Finding]:
    """The timeout of a tool is longer than the service or the call allows.

    The service cancels a tool call after two minutes, and a result after the end of the
    call is lost.

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
            message = f"`timeout` is {text}, but the whole call lasts at most {limit}"
            yield Finding(inspection.value(path), message, "make it shorter")


@rule("VA444", "argument-not-replaced", "warning")
def argument_not_replaced(inspection: RuleContext) -> Iterator[Finding]:
    """An argument in braces is in a field where it is not replaced.

    Arguments replace `{placeholders}` only in the URL; in a header, in `query` or in
    `fields` the braces are sent unchanged.

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
        for field in ("headers", "query", "fields"):
            fixed = inspection.get((*each.path, field), dict) or {}
            for name in fixed:
                path = (*each.path, field, name)
                text = inspection.get(path, str) or ""
                for found in re.finditer(r"(?<!\$)\{(\w+)\}", text):
                    if found[1] in each.properties:
                        where = "a header" if field == "headers" else f"`{field}`"
                        message = f"`{found[0]}` is not replaced in {where}"
                        help_ = "arguments are replaced only in the URL"
                        place = inspection.part(path, *found.span())
                        yield Finding(place, message, help_)


# Rules VA440 to VA442: the headers of an HTTP tool.


# In their registered spelling; header names are case-insensitive.
_HEADERS = {
    each.lower().replace("-", "_"): each
    for each in (
        *("Authorization", "Accept", "Accept-Language", "Content-Type", "User-Agent"),
        *("X-Api-Key", "X-Request-Id", "Cache-Control", "If-None-Match", "Cookie"),
        *("Referer", "Origin", "Idempotency-Key"),
    )
}
# Set by the HTTP client from the URL and the body.
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection"}
_CONTENT_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
}


@rule("VA440", "header-misspelled", "warning")
def header_misspelled(inspection: RuleContext) -> Iterator[Finding]:
    """The name of a header is a misspelling of a well-known one.

    Hosts ignore unknown headers.

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
            if plain in _HEADERS or not inspection.is_valid(path):
                continue
            near = nearest(plain, _HEADERS)
            if near and is_certain_guess(plain, near):
                meant = _HEADERS[near]
                place = inspection.key(path)
                message = f"`{name}` is not a well-known header"
                fix = replacement(place, name, meant)
                yield Finding(place, message, f"did you mean `{meant}`?", fix)


@rule("VA441", "header-of-the-client", "warning")
def header_of_the_client(inspection: RuleContext) -> Iterator[Finding]:
    """A header is set by the HTTP client or contradicts `body`.

    The client derives `Host`, `Content-Length`, `Transfer-Encoding` and `Connection`
    from the URL and the body, and `Content-Type` from `body`.

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
                message = f"`{name}` is set by the HTTP client"
                yield Finding(place, message, "remove it")
            elif name.lower() == "content-type" and each.method not in QUERY_METHODS:
                given = str(value).partition(";")[0].strip().lower()
                if given != _CONTENT_TYPES.get(body) and "${" not in given:
                    message = f"the arguments are sent as {body}, not as {given}"
                    help_ = "remove the header, or change `body`"
                    yield Finding(place, message, help_)


@rule("VA442", "header-twice", "warning")
def header_twice(inspection: RuleContext) -> Iterator[Finding]:
    """Two header names differ only in upper and lower case.

    Hosts treat them as one header with two values.

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
                yield Finding(place, message, "keep one, with both values if necessary")
