"""Mutations of tools: functions, urls, and the schemas of their arguments."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from tests.mutations.subject import Change, Edit, Site, Subject, is_word, mentions

_PROPERTY = ("parameters", "properties", "*")


def wrong_function(subject: Subject, draw: Random) -> Change | None:
    """A Python tool names a function that its file does not have."""
    site = subject.choose(draw, lambda each: each.general[2:] == ("python",))
    if site is None:
        return None
    written = subject.written(site)
    function = site.node.span.start + written.index(":") + 1
    end = site.node.span.end - (written[-1] in "'\"")
    return subject.change(Edit(end, end, "s"), site.node.span.start, function)


def wrong_file(subject: Subject, draw: Random) -> Change | None:
    """A Python tool names a file that is not there."""
    site = subject.choose(draw, lambda each: each.general[2:] == ("python",))
    if site is None:
        return None
    at = site.node.span.start + subject.written(site).index(".py")
    return subject.change(Edit(at, at, "s"), site.node.span.start)


def outside_file(subject: Subject, draw: Random) -> Change | None:
    """A Python tool is outside the agent's folder."""
    site = subject.choose(draw, lambda each: each.general[2:] == ("python",))
    if site is None:
        return None
    start = site.node.span.start + (site.node.style != "")
    return subject.change(Edit(start, start, "../../"), site.node.span.start)


def wrong_plugin(subject: Subject, draw: Random) -> Change | None:
    """A plugin is not installed."""
    site = subject.choose(
        draw, lambda each: each.general[2:] == ("plugin",) and is_word(each)
    )
    if site is None:
        return None
    end = site.node.span.end - (site.node.style != "")
    return subject.change(Edit(end, end, "ed"), site.node.span.start)


def wrong_url_argument(subject: Subject, draw: Random) -> Change | None:
    """A placeholder of a url is not a parameter of the tool."""
    for site in _shuffled(subject, draw):
        if site.general[2:] != ("http", "url"):
            continue
        found = re.search(r"(?<!\$)\{(\w+)\}", subject.written(site))
        if found:
            start = site.node.span.start + found.start()
            end = site.node.span.start + found.end() - 1
            return subject.change(Edit(end, end, "_x"), start)
    return None


def optional_url_argument(subject: Subject, draw: Random) -> Change | None:
    """A placeholder of a url may be missing from a call."""
    for site in _shuffled(subject, draw):
        if site.general[2:] != ("parameters", "required") or site.in_flow:
            continue
        if not subject.is_alone(site):
            continue
        tool = subject.document.value["tools"][site.path[1]]
        url = tool.get("http", {}).get("url", "")
        found = re.search(r"(?<!\$)\{(\w+)\}", url)
        if found is None or found[1] not in site.node.value:
            continue
        place = subject.document.value_span((*site.path[:2], "http", "url"))
        at = subject.text.find(found[0], place.start, place.end)
        if at < 0:
            continue
        return subject.change(Edit(*site.node.span, "[]"), at)
    return None


def unknown_required(subject: Subject, draw: Random) -> Change | None:
    """`required` names a property that is not there."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general[2:] == ("parameters", "required", "*") and each.in_flow
        ),
    )
    if site is None:
        return None
    end = site.node.span.end
    new = f", {site.node.style}nowhere{site.node.style}"
    change = subject.change(Edit(end, end, new))
    return Change(change.text, (end + 2,))


def renamed_parameter(subject: Subject, draw: Random) -> Change | None:
    """A parameter of the file is none of the Python function's."""
    for site in _shuffled(subject, draw):
        if site.general[2:4] != _PROPERTY[:2] or len(site.path) != 5:
            continue
        tool = subject.document.value["tools"][site.path[1]]
        if "python" not in tool or site.key is None:
            continue
        more = [
            Edit(each.node.span.end, each.node.span.end, "_x")
            for each in subject.sites
            if each.path[:4] == (*site.path[:3], "required")
            and len(each.path) == 5
            and each.node.value == site.name
        ]
        edit = Edit(site.key.end, site.key.end, "_x")
        return subject.change(edit, site.key.start, more=more)
    return None


def bad_pattern(subject: Subject, draw: Random) -> Change | None:
    """A pattern is not a regular expression."""
    return _in_schema(subject, draw, "pattern", ["'[0-9'", "'(a|b'", "'*x'"])


def slow_pattern(subject: Subject, draw: Random) -> Change | None:
    """A pattern can take for ever."""
    return _in_schema(subject, draw, "pattern", ["'(a+)+$'", "'([a-z]+)*x'"])


def bad_type(subject: Subject, draw: Random) -> Change | None:
    """A parameter is of a type that JSON does not have."""
    return _in_schema(subject, draw, "type", ["text", "str", "int", "strnig"])


def failing_example(subject: Subject, draw: Random) -> Change | None:
    """An example does not match its own pattern."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general[2:4] == _PROPERTY[:2]
            and each.general[-2:] == ("examples", "*")
            and "pattern" in _schema_above(subject, each)
        ),
    )
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, "'?!'"))


def failing_default(subject: Subject, draw: Random) -> Change | None:
    """A default is not of its own type."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general[2:4] == _PROPERTY[:2]
            and each.name == "default"
            and subject.in_one_line(each)
        ),
    )
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, "[]"))


def mixed_enum(subject: Subject, draw: Random) -> Change | None:
    """A member of an enum is not of the type."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general[2:4] == _PROPERTY[:2]
            and each.general[-2:] == ("enum", "*")
            and "type" in _schema_above(subject, each)
        ),
    )
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, "{}"))


def lost_reference(subject: Subject, draw: Random) -> Change | None:
    """A `$ref` refers to a definition that does not exist."""
    site = subject.choose(draw, lambda each: each.name == "$ref")
    if site is None:
        return None
    end = site.node.span.end - (site.node.style != "")
    return subject.change(Edit(end, end, "_x"), site.node.span.start)


def two_kinds(subject: Subject, draw: Random) -> Change | None:
    """A tool says two things about what it is."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general[2:] in (("http",), ("python",))
            and (each.in_flow or subject.starts_line(each))
        ),
    )
    if site is None or site.key is None:
        return None
    quote = '"' if subject.text[site.key.start] == '"' else ""
    new = f"{quote}plugin{quote}: {quote}end_call{quote}"
    indent = subject.text[subject.line_start(site.key.start) : site.key.start]
    end = ", " if site.in_flow else f"{subject.newline}{indent}"
    # The second one, in the order of the file, is the one too many.
    change = subject.change(Edit(site.key.start, site.key.start, new + end))
    return Change(change.text, (site.key.start + len(new + end),))


def no_kind(subject: Subject, draw: Random) -> Change | None:
    """A tool is incomplete."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general[2:] in (("python",), ("plugin",))
            and subject.is_alone(each)
            and len(each.parent.entries or ()) > 1
        ),
    )
    if site is None or site.key is None:
        return None
    start, end = subject.line_start(site.key.start), subject.next_line(site.key.start)
    return subject.change(Edit(start, end, ""), site.parent.head.start)


def repeated_name(subject: Subject, draw: Random) -> Change | None:
    """Two tools have the same name."""
    named = [site for site in subject.sites if site.general == ("tools", "*", "name")]
    if len(named) < 2:
        return None
    first, second = sorted(draw.sample(named, 2), key=lambda each: each.node.span.start)
    if "prompt" not in subject.document.value:
        return None
    # The prompt follows: that it names a tool that is gone would be another fault.
    gone = mentions(subject, str(second.node.value))
    more = [Edit(*each, str(first.node.value)) for each in gone]
    edit = Edit(*second.node.span, subject.written(first))
    return subject.change(edit, second.node.span.start, more=more)


def _in_schema(
    subject: Subject, draw: Random, keyword: str, values: list[str]
) -> Change | None:
    site = subject.choose(
        draw,
        lambda each: (
            each.general[2:4] == _PROPERTY[:2]
            and len(each.path) > 5
            and each.name == keyword
            and subject.in_one_line(each)
            and is_word(each)
        ),
    )
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, draw.choice(values)))


def _schema_above(subject: Subject, site: Site) -> Any:
    node = subject.document.node(site.path[:-2])
    return node.value if node is not None else {}


def _shuffled(subject: Subject, draw: Random) -> list[Site]:
    sites = list(subject.sites)
    draw.shuffle(sites)
    return sites
