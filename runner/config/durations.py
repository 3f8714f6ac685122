"""Lengths of time as an agent file writes them: `500ms`, `1.5s`, `30m`."""

from __future__ import annotations

import re

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def parse_duration(text: str) -> float:
    """Return the seconds that `text` stands for; raises `ValueError` if it is none."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration")
    return float(found[1]) * _SECONDS[found[2]]
