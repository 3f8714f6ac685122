"""Mutations of how lines are laid out: indentation, keys, dashes."""

from __future__ import annotations

from random import Random

from tests.mutations.subject import Change, Edit, Site, Subject


def tab_indent(subject: Subject, draw: Random) -> Change | None:
    """A line is indented with a tab."""
    site = subject.choose(
        draw, lambda each: subject.starts_line(each) and subject.indent(each) > 0
    )
    if site is None or site.key is None:
        return None
    return subject.change(
        Edit(subject.line_start(site.key.start), site.key.start, "\t")
    )


def deeper_line(subject: Subject, draw: Random) -> Change | None:
    """A key is one column further in than its siblings."""
    site = subject.choose(draw, lambda each: _has_sibling_above(subject, each))
    if site is None or site.key is None:
        return None
    start = subject.line_start(site.key.start)
    change = subject.change(Edit(start, start, " "))
    return Change(change.text, (site.key.start + 1,))


def shallower_line(subject: Subject, draw: Random) -> Change | None:
    """A key is one column less far in than its siblings."""
    site = subject.choose(
        draw,
        lambda each: _has_sibling_above(subject, each) and subject.indent(each) > 1,
    )
    if site is None or site.key is None:
        return None
    start = subject.line_start(site.key.start)
    return subject.change(Edit(start, start + 1, ""), site.key.start)


def missing_colon(subject: Subject, draw: Random) -> Change | None:
    """The colon after a key is missing."""
    site = subject.choose(
        draw, lambda each: subject.is_alone(each) and _has_siblings(each)
    )
    if site is None or site.key is None:
        return None
    return subject.change(Edit(site.key.end, site.key.end + 1, ""), site.key.start)


def missing_space(subject: Subject, draw: Random) -> Change | None:
    """The blank after the colon of a key is missing."""
    site = subject.choose(
        draw,
        lambda each: (
            subject.is_alone(each)
            and _has_siblings(each)
            and each.key is not None
            and subject.text[each.key.end : each.key.end + 2] == ": "
        ),
    )
    if site is None or site.key is None:
        return None
    blanks = Edit(site.key.end + 1, site.node.span.start, "")
    return subject.change(blanks, site.key.start)


def missing_dash_space(subject: Subject, draw: Random) -> Change | None:
    """The blank after the dash of an item is missing."""
    site = subject.choose(
        draw,
        lambda each: (
            isinstance(each.name, int)
            and each.name > 0
            and not each.in_flow
            and subject.text[each.node.span.start - 2 : each.node.span.start] == "- "
        ),
    )
    if site is None:
        return None
    at = site.node.span.start
    return subject.change(Edit(at - 1, at, ""), at - 2)


def stray_word(subject: Subject, draw: Random) -> Change | None:
    """A word that is not a key is in a line of its own."""
    site = subject.choose(draw, lambda each: _has_sibling_above(subject, each))
    if site is None or site.key is None:
        return None
    start = subject.line_start(site.key.start)
    indent = subject.text[start : site.key.start]
    new = f"{indent}oops{subject.newline}"
    change = subject.change(Edit(start, start, new))
    return Change(change.text, (start + len(indent),))


def second_document(subject: Subject, draw: Random) -> Change | None:
    """A line of dashes begins another document."""
    site = subject.choose(
        draw, lambda each: len(each.path) == 1 and _has_sibling_above(subject, each)
    )
    if site is None or site.key is None:
        return None
    return subject.change(Edit(site.key.start, site.key.start, f"---{subject.newline}"))


def duplicate_key(subject: Subject, draw: Random) -> Change | None:
    """A key is there twice."""
    site = subject.choose(
        draw,
        lambda each: (
            subject.is_alone(each) or (each.in_flow and subject.in_one_line(each))
        ),
    )
    if site is None or site.key is None:
        return None
    if not site.in_flow:
        start, end = (
            subject.line_start(site.key.start),
            subject.next_line(site.key.start),
        )
        line = subject.text[start:end]
        if not line.endswith("\n"):
            return None
        change = subject.change(Edit(end, end, line))
        return Change(change.text, (end + site.key.start - start,))
    copy = subject.text[site.key.start : site.node.span.end] + ", "
    change = subject.change(Edit(site.key.start, site.key.start, copy))
    return Change(change.text, (site.key.start + len(copy),))


def _has_sibling_above(subject: Subject, site: Site) -> bool:
    return subject.starts_line(site) and not subject.is_first(site)


def _has_siblings(site: Site) -> bool:
    return len(site.parent.entries or ()) > 1
