"""JSON as the wire has it: only what can be written again, from anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Deeper than any tool's schema. What is read may be written again from further down the
# stack (the echo of a configuration), so it must stay far from the interpreter's limit.
MAX_DEPTH = 100
_MAX_DIGITS = 300  # a float holds 308

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_escaped = json.JSONEncoder(separators=(",", ":")).encode


def dumps(content: Mapping[str, Any]) -> str:
    """Return compact JSON that goes through a socket as UTF-8."""
    text = _compact(content)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # JSON can say half of a surrogate pair, UTF-8 cannot: it stays escaped.
            return _escaped(content)
    return text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        # It could not be written again.
        raise ValueError(f"{text} is beyond measure")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{text[:20]}… is beyond measure")
    return int(text)


decode = json.JSONDecoder(
    parse_constant=_refuse, parse_float=_finite, parse_int=_integer
).decode


def loads(text: str | bytes) -> Any:
    """Read what JSON can say and Python can measure.

    Raises ValueError (also for NaN, 1e400 and integers that no float holds) and
    RecursionError.
    """
    return decode(text if isinstance(text, str) else text.decode())


def is_too_deep(value: object) -> bool:
    """Whether lists and objects lie more than MAX_DEPTH deep; itself not recursive."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        if not below:
            return False
        level = below
    return True
