"""Regular expressions that take exponential time: they match a text in many ways.

Python's engine, which the voice service uses too, tries every way to divide a text
before it gives up. There are 2^n ways for n characters if a repetition contains a
repetition with nothing required in between, or two alternatives that match the same
character. Only certain cases are reported.
"""

from __future__ import annotations

from typing import Any

from runner.patterns import UNLIMITED, InvalidPattern, parse_pattern

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_NOTHING = ("AT", "ASSERT", "ASSERT_NOT")  # they match no characters
# Repetitions up to this are counted out soon enough.
_FEW = 12


def is_catastrophic(pattern: str) -> bool:
    """True if some text makes a match take exponential time.

    False for an invalid pattern.
    """
    try:
        parsed = parse_pattern(pattern)
    except InvalidPattern:
        return False
    return _any_in(list(parsed))


def _any_in(items: list[tuple[Any, Any]]) -> bool:
    for name, value in _named(items):
        if name in _REPEATS:
            most, body = value[1], list(value[2])
            if _is_many(most) and _is_ambiguous(body):
                return True
        if any(_any_in(inner) for inner in _inner(name, value)):
            return True
    return False


def _is_ambiguous(body: list[tuple[Any, Any]]) -> bool:
    """True if one text can be divided in several ways into runs of this body."""
    items = _flat(body)
    for index, (name, value) in enumerate(items):
        if name in _REPEATS and _is_many(value[1]):
            others = items[:index] + items[index + 1 :]
            if all(_may_be_empty(*each) for each in others):
                return True
    return len(items) == 1 and _has_overlap(_alternatives(items))


def _alternatives(items: list[tuple[str, Any]]) -> list[list[tuple[str, Any]]]:
    """Returns the alternatives of a sequence, those of nested groups included."""
    items = _flat(items)
    if len(items) != 1 or items[0][0] != "BRANCH":
        return [items]
    return [
        each
        for branch in items[0][1][1]
        for each in _alternatives(_named(list(branch)))
    ]


def _has_overlap(alternatives: list[list[tuple[str, Any]]]) -> bool:
    """True if two alternatives of one character each match the same character."""
    seen: set[int] = set()
    for each in alternatives:
        characters = _characters(*each[0]) if len(each) == 1 else set()
        if seen & characters:
            return True
        seen |= characters
    return False


def _characters(name: str, value: Any) -> set[int]:
    """Returns the ASCII characters that an item matches, if it matches one."""
    match name:
        case "LITERAL":
            return {value}
        case "NOT_LITERAL":
            return _ASCII - {value}
        case "ANY":
            return _ASCII - {ord("\n")}
        case "RANGE":
            return set(range(value[0], min(value[1], max(_ASCII)) + 1))
        case "CATEGORY":
            return _CATEGORIES.get(str(value).removeprefix("CATEGORY_"), set())
        case "IN":
            parts = _named(value)
            matched = {
                character
                for part in parts
                if part[0] != "NEGATE"
                for character in _characters(*part)
            }
            return _ASCII - matched if parts[0][0] == "NEGATE" else matched
    return set()


_ASCII = set(range(128))
_WORD = {each for each in _ASCII if chr(each).isalnum()} | {ord("_")}
_DIGIT = set(range(ord("0"), ord("9") + 1))
_SPACE = {each for each in _ASCII if chr(each).isspace()}
_CATEGORIES = {
    "WORD": _WORD,
    "DIGIT": _DIGIT,
    "SPACE": _SPACE,
    "NOT_WORD": _ASCII - _WORD,
    "NOT_DIGIT": _ASCII - _DIGIT,
    "NOT_SPACE": _ASCII - _SPACE,
}


def _flat(items: list[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    """Returns a sequence without the groups around it."""
    found = _named(items)
    while len(found) == 1 and found[0][0] == "SUBPATTERN":
        found = _named(list(found[0][1][3]))
    return found


def _may_be_empty(name: str, value: Any) -> bool:
    if name in _NOTHING:
        return True
    if name in _REPEATS:
        return bool(value[0] == 0)
    if name == "SUBPATTERN":
        return all(_may_be_empty(*each) for each in _named(list(value[3])))
    return False


def _is_many(most: Any) -> bool:
    return most is UNLIMITED or most > _FEW


def _named(items: list[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    return [(str(name), value) for name, value in items]


def _inner(name: str, value: Any) -> list[list[tuple[Any, Any]]]:
    """Returns the sequences inside an item."""
    match name:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [list(value[2])]
        case "SUBPATTERN":
            return [list(value[3])]
        case "BRANCH":
            return [list(each) for each in value[1]]
        case "ASSERT" | "ASSERT_NOT":
            return [list(value[1])]
    return []
