"""Mutations after which something is named that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from tests.mutations.subject import (
    SPOKEN,
    Change,
    Edit,
    Site,
    Subject,
    is_word,
    placeholders,
)


def undeclared_in_line(subject: Subject, draw: Random) -> Change | None:
    """A text in one line uses a variable that is not declared."""
    return _undeclared(subject, draw, lambda each: _in_line(subject, each))


def undeclared_in_block(subject: Subject, draw: Random) -> Change | None:
    """A block of text uses a variable that is not declared."""
    return _undeclared(subject, draw, lambda each: each.node.style in ("|", ">"))


def misspelt_variable(subject: Subject, draw: Random) -> Change | None:
    """The name of a variable is misspelt where it is used."""
    used = [
        site.node.span.start + found.start()
        for site in subject.sites
        if site.general in SPOKEN or site.general == ("tools", "*", "http", "url")
        for found in placeholders(subject.written(site))
    ]
    if not used:
        return None
    at = draw.choice(used)
    end = subject.text.index("}", at)
    return subject.change(Edit(end, end, "s"), at)


def malformed_placeholder(subject: Subject, draw: Random) -> Change | None:
    """`${` is followed by something that is not a name."""
    site = subject.choose(
        draw, lambda each: each.general in SPOKEN and _in_line(subject, each)
    )
    if site is None:
        return None
    new = draw.choice(["${caller name}", "${}", "${1st}"])
    return _insert_word(subject, draw, site, new)


def unset_environment(subject: Subject, draw: Random) -> Change | None:
    """An environment variable is not set."""
    found = list(re.finditer(r"\$\{env:(\w+)\}", subject.text))
    if not found:
        return None
    chosen = draw.choice(found)
    return subject.change(
        Edit(chosen.end() - 1, chosen.end() - 1, "_2"), chosen.start()
    )


def spoken_environment(subject: Subject, draw: Random) -> Change | None:
    """An environment variable would be spoken."""
    site = subject.choose(
        draw, lambda each: each.general in SPOKEN and _in_line(subject, each)
    )
    if site is None:
        return None
    return _insert_word(subject, draw, site, "${env:HOME}")


def missing_default(subject: Subject, draw: Random) -> Change | None:
    """A variable has no value."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general == ("variables", "*", "default") and subject.is_alone(each)
        ),
    )
    if site is None or site.key is None or len(site.parent.entries or ()) < 2:
        return None
    start, end = subject.line_start(site.key.start), subject.next_line(site.key.start)
    above = subject.document.key_span(site.path[:-1])
    return subject.change(Edit(start, end, ""), above.start)


def missing_prompt_file(subject: Subject, draw: Random) -> Change | None:
    """The prompt file is not there."""
    site = subject.choose(draw, lambda each: each.path == ("prompt_file",))
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, "prompts/nowhere.md"))


def swapped_silences(subject: Subject, draw: Random) -> Change | None:
    """The shorter silence is the longer one."""
    del draw
    site = next((s for s in subject.sites if s.path == ("greeting",)), None)
    if site is None or site.key is None or not subject.starts_line(site):
        return None
    if "turn_detection" in subject.document.value:
        return None
    start = site.key.start
    new = "turn_detection: {min_silence: 2s, max_silence: 1s}" + subject.newline
    change = subject.change(Edit(start, start, new))
    return Change(change.text, (start + new.index("2s"), start + new.index("1s")))


def idle_ends_first(subject: Subject, draw: Random) -> Change | None:
    """The call ends before the caller was asked."""
    site = subject.choose(draw, lambda each: each.general[-2:] == ("idle", "end_after"))
    if site is None:
        return None
    nudge = subject.document.value_span((*site.path[:-1], "nudge_after"))
    return subject.change(
        Edit(*site.node.span, "2s"), site.node.span.start, nudge.start
    )


def short_last_minute(subject: Subject, draw: Random) -> Change | None:
    """A last minute is announced in a call of half a minute."""
    if "one_minute_left" not in subject.document.value.get("session", {}):
        return None
    site = subject.choose(draw, lambda each: each.path == ("session", "max_duration"))
    if site is None:
        return None
    line = subject.document.value_span(("session", "one_minute_left"))
    return subject.change(
        Edit(*site.node.span, "30s"), site.node.span.start, line.start
    )


def _undeclared(
    subject: Subject, draw: Random, wanted: Callable[[Site], bool]
) -> Change | None:
    site = subject.choose(draw, lambda each: each.general in SPOKEN and wanted(each))
    if site is None:
        return None
    return _insert_word(subject, draw, site, "${nobody_knows}")


def _insert_word(subject: Subject, draw: Random, site: Site, new: str) -> Change:
    """Put a word before a word of the text, past the header of a block."""
    start, end = site.node.span
    header = subject.text.find("\n", start) + 1 if site.node.style in ("|", ">") else 0
    words = list(re.finditer(r"(?<=[a-z] )[a-z]", subject.text[:end]))
    places = [each.start() for each in words if each.start() > max(start, header)]
    at = draw.choice(places) if places else start
    if not places and site.node.style in ("'", '"'):
        at += 1
    return subject.change(Edit(at, at, f"{new} "))


def _in_line(subject: Subject, site: Site) -> bool:
    if not is_word(site) or not subject.in_one_line(site):
        return False
    # Between braces, a brace needs quotes around it.
    return site.node.style != "" or not site.in_flow
