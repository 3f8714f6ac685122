"""Reads the one line in which a model says whether it wants a tool or speech."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SAY = re.compile(r'\s*(?:```(?:json)?\s*)?\{\s*"say"')
_PLAIN = re.compile(r"\s*[^\s{`]")


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the model wrote it, not yet held against what was said."""

    name: str
    arguments: Mapping[str, Any]


def prefers_speech(written: str) -> bool:
    """Whether the line, as far as it is written, can only become speech."""
    return bool(_SAY.match(written) or _PLAIN.match(written))


def read_call(written: str) -> Call | None:
    """Return the call in a finished line; None when it holds none, or half of one."""
    begin, end = written.find("{"), written.rfind("}")
    try:
        value = json.loads(written[begin : end + 1])
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("tool"), str):
        return None
    arguments = value.get("arguments")
    return Call(value["tool"], arguments if isinstance(arguments, dict) else {})
