"""Mutations after which the file is YAML and breaks the schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from tests.mutations.subject import (
    KNOWN,
    Change,
    Edit,
    Site,
    Subject,
    is_word,
)

_DURATIONS = {
    "min_silence",
    "max_silence",
    "interruption_delay",
    "timeout",
    "max_duration",
    "nudge_after",
    "end_after",
}
_ENUMS = {"mode", "effect", "on_interrupt", "method", "body", "tool_results"}
_NUMBERS = {"volume": "140", "vad_threshold": "7", "retries": "9"}
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


def wrong_type(subject: Subject, draw: Random) -> Change | None:
    """A list or a mapping stands where text belongs."""
    site = subject.choose(
        draw, lambda each: each.is_field and _is_text(each) and _in_place(subject, each)
    )
    if site is None:
        return None
    return subject.change(
        Edit(*site.node.span, draw.choice(["[one, two]", "{one: two}", "17", "true"]))
    )


def out_of_range(subject: Subject, draw: Random) -> Change | None:
    """A number is too large."""
    site = subject.choose(
        draw, lambda each: each.is_field and each.name in _NUMBERS and _is_number(each)
    )
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, _NUMBERS[str(site.name)]))


def long_duration(subject: Subject, draw: Random) -> Change | None:
    """A duration is out of the range of its field."""
    site = subject.choose(draw, _is_duration)
    if site is None:
        return None
    return subject.change(_value(subject, site, draw.choice(["200m", "999m"])))


def unitless_duration(subject: Subject, draw: Random) -> Change | None:
    """A duration has no unit."""
    site = subject.choose(draw, _is_duration)
    if site is None:
        return None
    number = re.sub("[a-z]", "", str(site.node.value))
    return subject.change(_value(subject, site, number))


def bad_unit(subject: Subject, draw: Random) -> Change | None:
    """A duration has a unit that is not known."""
    site = subject.choose(draw, _is_duration)
    if site is None:
        return None
    number = re.sub("[a-z]", "", str(site.node.value))
    unit = draw.choice([" s", "sec", "min", "h", "S"])
    return subject.change(_value(subject, site, number + unit))


def bad_member(subject: Subject, draw: Random) -> Change | None:
    """A value is not one of those that there are."""
    site = subject.choose(
        draw,
        lambda each: (
            (each.is_field and each.name in _ENUMS)
            or each.general == ("languages", "*")
        ),
    )
    if site is None:
        return None
    old = str(site.node.value)
    new = draw.choice([old + "s", old.swapcase(), _swap(old, 0)])
    if new == old or (site.general == ("languages", "*") and len(new) == 2):
        new = "xx"
    return subject.change(_value(subject, site, new))


def quoted_number(subject: Subject, draw: Random) -> Change | None:
    """A number is in quotes."""
    site = subject.choose(draw, lambda each: each.is_field and _is_number(each))
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, f'"{subject.written(site)}"'))


def yes_or_no(subject: Subject, draw: Random) -> Change | None:
    """A boolean is spelled as YAML 1.1 did."""
    site = subject.choose(
        draw, lambda each: each.is_field and isinstance(each.node.value, bool)
    )
    if site is None:
        return None
    new = draw.choice(["yes", "no", "on", "off", "Yes", "'true'"])
    return subject.change(Edit(*site.node.span, new))


def empty_value(subject: Subject, draw: Random) -> Change | None:
    """A key has no value."""
    site = subject.choose(draw, lambda each: each.is_field and _in_place(subject, each))
    if site is None or site.key is None:
        return None
    return subject.change(Edit(*site.node.span, ""), site.key.start)


def missing_key(subject: Subject, draw: Random) -> Change | None:
    """A key that must be there is not; the mapping is shown where it begins."""
    site = subject.choose(
        draw,
        lambda each: (
            subject.stands_alone(each)
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


def later_version(subject: Subject, draw: Random) -> Change | None:
    """The file says that it is of a version that does not exist yet."""
    site = subject.choose(draw, lambda each: each.path == ("version",))
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, draw.choice(["2", '"1"', "1.5"])))


def bad_name(subject: Subject, draw: Random) -> Change | None:
    """The name of the agent, or of a tool, is not as names are."""
    site = subject.choose(
        draw, lambda each: each.general in (("name",), ("tools", "*", "name"))
    )
    if site is None:
        return None
    return subject.change(_value(subject, site, f"my {site.node.value}!"))


def repeated_item(subject: Subject, draw: Random) -> Change | None:
    """An item of a list is there twice."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general in (("languages", "*"), ("key_terms", "*"))
            and each.in_flow
            and not each.node.is_alias
        ),
    )
    if site is None:
        return None
    copy = subject.written(site) + ", "
    change = subject.change(Edit(site.node.span.start, site.node.span.start, copy))
    return Change(change.text, (site.node.span.start + len(copy),))


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


def _value(subject: Subject, site: Site, new: str) -> Edit:
    """Replace a scalar, in the quotes that it had."""
    quote = site.node.style if site.node.style in ("'", '"') else ""
    return Edit(*site.node.span, f"{quote}{new}{quote}")


def _is_text(site: Site) -> bool:
    # `voice`, `plugin` and `brain` may be mappings.
    free = site.name not in ("voice", "plugin", "brain", "default")
    return free and is_word(site) and site.general[:-1] != ("variables", "*")


def _is_number(site: Site) -> bool:
    return type(site.node.value) in (int, float) and not site.node.is_alias


def _is_duration(site: Site) -> bool:
    return (
        site.is_field
        and site.name in _DURATIONS
        and isinstance(site.node.value, str)
        and not site.node.is_alias
    )


def _in_place(subject: Subject, site: Site) -> bool:
    """Whether the value can be replaced without touching another line."""
    return site.node.is_scalar and subject.in_one_line(site) and not site.node.is_alias


def _is_needed_name(subject: Subject, site: Site) -> bool:
    if site.general not in (("tools", "*", "name"), ("tools", "*", "description")):
        return False
    return "http" in subject.document.value["tools"][site.path[1]]


def _first_key(subject: Subject) -> int:
    entries = subject.document.root.entries or {}
    return min(entry.key.start for entry in entries.values())
