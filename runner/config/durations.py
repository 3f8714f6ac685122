"""Durations of agent files: `500ms`, `1.5s`, `30m`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.config.yaml.nodes import Pointer

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}

# Other spellings of units, and their seconds.
_SPELLINGS = {
    **dict.fromkeys(("ms", "msec", "msecs", "millis"), 0.001),
    **dict.fromkeys(("millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
}
_PART = r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)"

# Usual units, minimum and maximum (seconds) of each field. The unit of a bare number is
# clear if only one of them gives a value in this range.
_USUAL: dict[str, tuple[tuple[str, ...], float, float]] = {
    "min_silence": (("ms", "s"), 0.05, 10),
    "max_silence": (("ms", "s"), 0.05, 10),
    "interruption_delay": (("ms", "s"), 0, 1),
    "timeout": (("s", "ms"), 0.1, 300),
    "max_duration": (("s", "m"), 10, 10_800),
    "nudge_after": (("s", "ms"), 1, 600),
    "end_after": (("s", "m"), 1, 3600),
    # of scenario files
    "wait": (("s", "ms"), 0.1, 600),
    "drops": (("s", "ms"), 0.1, 60),
    "delay": (("s", "ms"), 0.05, 60),
    "within": (("s", "ms"), 0.05, 60),
    "after": (("ms", "s"), 0.05, 10),
    "silence_within": (("ms", "s"), 0.01, 5),
    "latency_within": (("s", "ms"), 0.05, 60),
}


def parse_duration(text: str) -> float:
    """Returns the seconds of a duration; raises `ValueError` if it is not one."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration")
    return float(found[1]) * _SECONDS[found[2]]


def respell_duration(text: str) -> str | None:
    """Returns `8 seconds` or `1h 30min` in the format of agent files, else None."""
    if not re.fullmatch(rf"\s*(?:{_PART}\s*)+", text, re.ASCII):
        return None
    parts = re.findall(_PART, text, re.ASCII)
    if not all(unit.lower() in _SPELLINGS for _, unit in parts):
        return None
    scaled = [(number, _SPELLINGS[unit.lower()]) for number, unit in parts]
    number, scale = scaled[0]
    if len(parts) == 1 and scale in _SECONDS.values():
        (unit,) = (each for each in _SECONDS if _SECONDS[each] == scale)
        return f"{number}{unit}"
    total = sum(float(number) * scale for number, scale in scaled)
    for unit in ("m", "s", "ms"):
        count = round(total / _SECONDS[unit], 6)
        if count == int(count):
            return f"{int(count)}{unit}"
    return None


def suggest_duration(field: str, text: str) -> str:
    """Returns the hint for a text that is not a duration, as for a field of a file."""
    spelling = respell_duration(text)
    if spelling is None and re.fullmatch(
        r"[0-9]{1,9}(?:\.[0-9]{1,9})?", text, re.ASCII
    ):
        spelling = text + guess_unit((field,), float(text))[0]
    return f"write {spelling}" if spelling else "write a duration such as 30s or 5m"


def guess_unit(path: Pointer, number: float) -> tuple[str, bool]:
    """Returns the likely unit of a bare number at `path`, and True if it is certain.

    It is certain if only one unit gives a usual value, and that unit is seconds or the
    most common one of the field.
    """
    key = str(path[-1]) if path else ""
    units, low, high = _USUAL.get(key, (("s", "ms"), 0.0, float("inf")))
    likely = [each for each in units if low <= number * _SECONDS[each] <= high]
    if len(likely) == 1:
        return likely[0], likely[0] in ("s", units[0])
    return (likely or units)[0], False
