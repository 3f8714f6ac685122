"""Regular expressions that take for ever: one text can be matched in too many ways.

A repetition of something that itself repeats, with nothing between that must be there,
can divide a text of n characters in 2^n ways, and a backtracking engine such as
Python's tries all of them before it gives up. Only certain cases are reported.
"""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from typing import Any

# Python's own parser of patterns has no public name (`sre_parse` is deprecated); a
# second one would have to know the whole syntax.
_parser: Any = import_module("re._parser")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_NOTHING = ("AT", "ASSERT", "ASSERT_NOT")  # they match no characters
# Repetitions up to this are counted out soon enough.
_FEW = 12


def is_catastrophic(pattern: str) -> bool:
    """True if some text makes a match take exponential time.

    A pattern that is none is not: False.
    """
    try:
        with warnings.catch_warnings():
            # Of a set in a set, and the like: not a finding of ours.
            warnings.simplefilter("ignore")
            parsed = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
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
    return False


def _flat(items: list[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    """Take groups around a sequence away."""
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
    return most is _parser.MAXREPEAT or most > _FEW


def _named(items: list[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    return [(str(name), value) for name, value in items]


def _inner(name: str, value: Any) -> list[list[tuple[Any, Any]]]:
    """Return the sequences inside an item."""
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
