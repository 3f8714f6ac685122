"""What readers of YAML 1.1 make of a plain scalar: PyYAML, Ruby, older editors.

Vagent reads YAML 1.2 (`scalars`), where far fewer words are anything but text.
"""

from __future__ import annotations

import re
from typing import Any

_TRUE = frozenset(("y", "yes", "on"))
_FALSE = frozenset(("n", "no", "off"))
_CASED = (str.lower, str.upper, str.capitalize)

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*"
_SIXTIES = r"[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+"
_SIXTIES_POINT = r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
_INTEGER = r"[-+]?(?:0|[1-9][0-9_]*)"
_OCTAL = r"[-+]?0[0-7_]+"
_BINARY = r"[-+]?0b[0-1_]+"
_HEX = r"[-+]?0x[0-9a-fA-F_]+"
_FLOAT = (
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
)
# The first characters that any of this can have.
STARTS = frozenset("yYnNoO+-.0123456789")


def read_elsewhere(text: str, value: Any) -> str | None:
    """Say what a plain scalar means there, if that is not `value`, which it is here.

    In words that follow "it is": "false" of `no`, "a date", "8" of `010`.
    """
    if text[:1] not in STARTS:
        return None
    if isinstance(value, str):
        return _of_text(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(text, value)
    return None


def _of_text(text: str) -> str | None:
    for words, meaning in ((_TRUE, "true"), (_FALSE, "false")):
        if text.lower() in words and any(text == case(text) for case in _CASED):
            return meaning
    if re.fullmatch(_DATE, text) or re.fullmatch(_TIME, text):
        return "a date"
    if re.fullmatch(_SIXTIES, text) or re.fullmatch(_SIXTIES_POINT, text):
        return "a number to the base of 60"
    for form in (_INTEGER, _OCTAL, _BINARY, _HEX, _FLOAT):
        if re.fullmatch(form, text) and any(each.isdigit() for each in text):
            return "a number"
    return None


def _of_number(text: str, value: float) -> str | None:
    if re.fullmatch(_OCTAL, text):
        digits = text.replace("_", "").lstrip("+-")
        other = int(digits, 8) if digits.strip("0") else 0
        return str(other) if other != abs(value) else None
    if re.fullmatch(_HEX, text):
        return None
    if re.fullmatch(_INTEGER, text) or re.fullmatch(_FLOAT, text):
        return None
    return "text"
