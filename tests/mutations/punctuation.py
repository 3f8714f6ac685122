"""Mutations of quotes, brackets and marks."""

from __future__ import annotations

import re
from random import Random

from tests.mutations.subject import Change, Edit, Site, Subject, is_plain


def unclosed_quote(subject: Subject, draw: Random) -> Change | None:
    """The closing quote of a text is missing."""
    site = subject.choose(draw, lambda each: _is_quoted(subject, each))
    if site is None:
        return None
    start, end = site.node.span
    return subject.change(Edit(end - 1, end, ""), start)


def apostrophe(subject: Subject, draw: Random) -> Change | None:
    """A text in single quotes holds a single quote."""
    site = subject.choose(
        draw,
        lambda each: (
            _is_quoted(subject, each)
            and each.node.style == "'"
            and not each.in_flow
            and re.search("[a-z][a-z]", subject.written(each)) is not None
        ),
    )
    if site is None:
        return None
    found = draw.choice(list(re.finditer("[a-z](?=[a-z])", subject.written(site))))
    at = site.node.span.start + found.end()
    # The quote ends the text; what is left over begins after it.
    change = subject.change(Edit(at, at, "'"))
    return Change(change.text, (at, at + 1))


def unclosed_list(subject: Subject, draw: Random) -> Change | None:
    """A `[` is never closed."""
    return _unclosed(subject, draw, "]")


def unclosed_mapping(subject: Subject, draw: Random) -> Change | None:
    """A `{` is never closed."""
    return _unclosed(subject, draw, "}")


def extra_closer(subject: Subject, draw: Random) -> Change | None:
    """A bracket is closed twice."""
    site = subject.choose(draw, lambda each: _is_flow(each) and not each.in_flow)
    if site is None:
        return None
    end = site.node.span.end
    return subject.change(Edit(end, end, subject.text[end - 1]))


def missing_comma(subject: Subject, draw: Random) -> Change | None:
    """Between two entries of a mapping in braces the comma is missing."""
    site = subject.choose(draw, lambda each: _comma_before(subject, each) is not None)
    if site is None or site.key is None:
        return None
    comma = _comma_before(subject, site)
    assert comma is not None
    return subject.change(Edit(comma, comma + 1, ""), site.key.start, comma)


def unknown_alias(subject: Subject, draw: Random) -> Change | None:
    """An alias names an anchor that is not there."""
    aliases = [site for site in subject.sites if site.node.is_alias]
    site = draw.choice(aliases) if aliases else subject.choose(draw, is_plain)
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, "*nothing"))


def bad_escape(subject: Subject, draw: Random) -> Change | None:
    """A text in double quotes holds a backslash that YAML does not know."""
    site = subject.choose(
        draw, lambda each: _is_quoted(subject, each) and each.node.style == '"'
    )
    if site is None:
        return None
    at = site.node.span.start + 1
    return subject.change(Edit(at, at, draw.choice([r"\d", r"\w", r"\."])))


def reserved_character(subject: Subject, draw: Random) -> Change | None:
    """A value begins with a character that YAML keeps for itself."""
    site = subject.choose(draw, is_plain)
    if site is None:
        return None
    start = site.node.span.start
    return subject.change(Edit(start, start, draw.choice("@`")))


def colon_in_text(subject: Subject, draw: Random) -> Change | None:
    """A text without quotes holds a colon and a blank."""
    site = subject.choose(
        draw,
        lambda each: (
            is_plain(each) and subject.is_alone(each) and " " in subject.written(each)
        ),
    )
    if site is None:
        return None
    start = site.node.span.start
    at = start + subject.written(site).index(" ")
    return subject.change(Edit(at, at, ":"), at, start)


def foreign_tag(subject: Subject, draw: Random) -> Change | None:
    """A value has a tag that would run code elsewhere."""
    site = subject.choose(
        draw, lambda each: is_plain(each) and "!!" not in _before(subject, each)
    )
    if site is None:
        return None
    start = site.node.span.start
    return subject.change(Edit(start, start, "!!python/name:os.system "))


def left_over(subject: Subject, draw: Random) -> Change | None:
    """After a text in quotes there is more."""
    site = subject.choose(
        draw, lambda each: _is_quoted(subject, each) and not each.in_flow
    )
    if site is None:
        return None
    end = site.node.span.end
    change = subject.change(Edit(end, end, " today"))
    return Change(change.text, (end + 1,))


def _unclosed(subject: Subject, draw: Random, closer: str) -> Change | None:
    site = subject.choose(
        draw,
        lambda each: (
            _is_flow(each)
            and not each.node.is_alias
            and subject.text[each.node.span.end - 1] == closer
            and len(each.node.value) > 0
        ),
    )
    if site is None:
        return None
    start, end = site.node.span
    marks = [start]
    # The next closer of the same kind closes this one, and the outer one is left open.
    for length in range(len(site.path) - 1, -1, -1):
        above = subject.document.node(site.path[:length])
        if above is None or above.style != "{":
            break
        marks.append(above.span.start)
    return subject.change(Edit(end - 1, end, ""), *marks)


def _is_flow(site: Site) -> bool:
    return site.node.style == "{" and not site.node.is_alias


def _is_quoted(subject: Subject, site: Site) -> bool:
    written = subject.written(site)
    return (
        site.node.style in ("'", '"')
        and not site.node.is_alias
        and "\n" not in written
        and len(written) > 2
    )


def _before(subject: Subject, site: Site) -> str:
    start = site.node.span.start
    return subject.text[subject.line_start(start) : start]


def _comma_before(subject: Subject, site: Site) -> int | None:
    """Position of the comma before a key, if both are in one line."""
    if site.key is None or not site.in_flow:
        return None
    start = subject.line_start(site.key.start)
    before = subject.text[start : site.key.start]
    return start + len(before) - 2 if before.endswith(", ") else None
