"""What a plain YAML scalar means: the core schema of YAML 1.2, within JSON's model.

So `yes`, `on`, `2024-01-01` and `12:30` are text and `012` is twelve, unlike in the
YAML 1.1 that most Python programs read.
"""

from __future__ import annotations

import math
import re

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEAN = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

# Python refuses to read integers of over 4,300 digits, and no field takes even these.
_MAX_DIGITS = 400


class NotJsonError(ValueError):
    """A scalar that JSON has no word for (infinity, not-a-number, a huge number)."""


def resolve_plain(text: str) -> str | int | float | bool | None:
    """Turn an unquoted scalar into its value; raises `NotJsonError`."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    # Most plain scalars are words; the patterns below can only match these.
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _read_integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise NotJsonError(text)
        return number
    if _NOT_JSON.fullmatch(text):
        raise NotJsonError(text)
    return text


def _read_integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise NotJsonError(text)
    if text.startswith("0o"):
        return int(text[2:], 8)
    if text.startswith("0x"):
        return int(text[2:], 16)
    return int(text)
