"""Mutations of values: of another type, out of range, not of the list."""

from __future__ import annotations

import re
from random import Random

from tests.mutations.subject import Change, Edit, Site, Subject, is_word

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


def wrong_type(subject: Subject, draw: Random) -> Change | None:
    """A list or a mapping is in the place of text."""
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
    new = draw.choice([old + "s", old.swapcase(), old[1::-1] + old[2:]])
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
