"""Mutations of keys: misspelt, unknown, missing, one too many."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from tests.mutations.subject import KNOWN, Change, Edit, Site, Subject

_NEEDED = {
    ("version",),
    ("name",),
    ("tools", "*", "http", "url"),
}


def swapped_letters(subject: Subject, draw: Random) -> Change | None:
    """Two letters of a key are swapped."""
    return _misspelt(subject, draw, _swap)


def dropped_letter(subject: Subject, draw: Random) -> Change | None:
    """A letter of a key is missing."""
    return _misspelt(subject, draw, lambda key, at: key[:at] + key[at + 1 :])


def doubled_letter(subject: Subject, draw: Random) -> Change | None:
    """A letter of a key is there twice."""
    return _misspelt(subject, draw, lambda key, at: key[: at + 1] + key[at:])


def camel_case(subject: Subject, draw: Random) -> Change | None:
    """A key is written as other languages write it."""
    site = subject.choose(draw, lambda each: each.is_field and "_" in str(each.name))
    if site is None or site.key is None:
        return None
    new = re.sub("_(.)", lambda found: found[1].upper(), str(site.name))
    return subject.change(_rename(subject, site, new), site.key.start)


def capital_key(subject: Subject, draw: Random) -> Change | None:
    """A key begins with a capital."""
    site = subject.choose(draw, lambda each: each.is_field)
    if site is None or site.key is None:
        return None
    new = str(site.name).capitalize()
    return subject.change(_rename(subject, site, new), site.key.start)


def unknown_key(subject: Subject, draw: Random) -> Change | None:
    """A key is there that no field has."""
    site = subject.choose(
        draw,
        lambda each: each.is_field and (each.in_flow or subject.starts_line(each)),
    )
    if site is None or site.key is None:
        return None
    key = draw.choice(["colour", "max_tokens", "zzz", "temperature", "x-notes"])
    quote = '"' if subject.text[site.key.start] == '"' else ""
    new = f"{quote}{key}{quote}: {draw.randint(1, 9)}"
    indent = subject.text[subject.line_start(site.key.start) : site.key.start]
    end = ", " if site.in_flow else f"{subject.newline}{indent}"
    return subject.change(Edit(site.key.start, site.key.start, new + end))


def missing_key(subject: Subject, draw: Random) -> Change | None:
    """A key that must be there is not; the mapping is shown where it begins."""
    site = subject.choose(
        draw,
        lambda each: (
            subject.is_alone(each)
            and len(each.parent.entries or ()) > 1
            and (each.general in _NEEDED or _is_needed_name(subject, each))
        ),
    )
    if site is None or site.key is None:
        return None
    start, end = subject.line_start(site.key.start), subject.next_line(site.key.start)
    keys = [entry.key.start for entry in (site.parent.entries or {}).values()]
    first = min(each for each in keys if each != site.key.start)
    return subject.change(Edit(start, end, ""), first)


def missing_prompt(subject: Subject, draw: Random) -> Change | None:
    """Neither `prompt` nor `prompt_file` is there."""
    del draw
    for site in subject.sites:
        if site.path == ("prompt",) and site.node.style in ("|", ">"):
            assert site.key is not None
            start = subject.line_start(site.key.start)
            end = subject.next_line(site.node.span.end)
            following = subject.text[end:].lstrip()
            end = len(subject.text) - len(following)
            return subject.change(Edit(start, end, ""), _first_key(subject))
    return None


def two_prompts(subject: Subject, draw: Random) -> Change | None:
    """Both `prompt` and `prompt_file` are there."""
    del draw
    site = subject.choose(Random(0), lambda each: each.path == ("greeting",))
    if site is None or site.key is None or not subject.starts_line(site):
        return None
    present = {"prompt", "prompt_file"} & subject.document.value.keys()
    other = "prompt" if "prompt_file" in present else "prompt_file"
    new = f"{other}: prompts/library.md{subject.newline}"
    return subject.change(Edit(site.key.start, site.key.start, new))


def bad_header(subject: Subject, draw: Random) -> Change | None:
    """The name of a header holds a blank."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general[:-1] == ("tools", "*", "http", "headers")
            and each.key is not None
        ),
    )
    if site is None or site.key is None:
        return None
    return subject.change(_rename(subject, site, "X Header"), site.key.start)


def _misspelt(
    subject: Subject, draw: Random, spoil: Callable[[str, int], str]
) -> Change | None:
    site = subject.choose(draw, lambda each: each.is_field)
    if site is None or site.key is None:
        return None
    key = str(site.name)
    wrong = {spoil(key, at) for at in range(len(key) - 1)}
    chosen = sorted(each for each in wrong if each and each not in KNOWN)
    if not chosen:
        return None
    edit = _rename(subject, site, draw.choice(chosen))
    return subject.change(edit, site.key.start)


def _swap(word: str, at: int) -> str:
    return word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]


def _rename(subject: Subject, site: Site, new: str) -> Edit:
    """Replace a key, within its quotes if it has any."""
    assert site.key is not None
    start, end = site.key
    if subject.text[start] in "'\"":
        start, end = start + 1, end - 1
    return Edit(start, end, new)


def _is_needed_name(subject: Subject, site: Site) -> bool:
    if site.general not in (("tools", "*", "name"), ("tools", "*", "description")):
        return False
    return "http" in subject.document.value["tools"][site.path[1]]


def _first_key(subject: Subject) -> int:
    entries = subject.document.root.entries or {}
    return min(entry.key.start for entry in entries.values())
