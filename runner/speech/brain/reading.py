"""Reads a tool's result aloud without a language model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from runner.speech.parts import ToolUsed

_MOST_FACTS = 4
_LONGEST = 200  # characters of one value
_UNITS = {
    "c": "degrees Celsius",
    "celsius": "degrees Celsius",
    "f": "degrees Fahrenheit",
    "fahrenheit": "degrees Fahrenheit",
    "percent": "percent",
    "pct": "percent",
    "km": "kilometres",
    "kmh": "kilometres per hour",
    "kph": "kilometres per hour",
    "mph": "miles per hour",
    "usd": "dollars",
    "eur": "euros",
    "minutes": "minutes",
    "hours": "hours",
    "days": "days",
}


def read_aloud(used: ToolUsed) -> Iterator[str]:
    """Yield plain sentences that tell a call's result: "The status is shipped."."""
    if used.result is None:
        yield "One moment, please."
        return
    value = _parse(used.result)
    if used.is_error:
        yield f"Sorry, that did not work: {_sentence(_said(_error_text(value)))}"
        return
    if isinstance(value, Mapping):
        facts = [
            (key, inner)
            for key, inner in _flatten(value)
            if used.arguments.get(key) != inner and inner is not None
        ]
        for key, inner in facts[:_MOST_FACTS]:
            yield _fact(key, inner)
        if not facts:
            yield "That is done."
        return
    if isinstance(value, list):
        yield f"I found {len(value)}: {_said(value)}." if value else "I found nothing."
        return
    yield _sentence(_said(value)) if value not in (None, "") else "That is done."


def _parse(result: str) -> object:
    try:
        value: object = json.loads(result)
    except ValueError:
        return result.strip()
    return value


def _error_text(value: object) -> object:
    if isinstance(value, Mapping):
        return next((value[k] for k in ("error", "message") if k in value), value)
    return value


def _flatten(value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flatten(inner)
        else:
            yield key, inner


def _fact(key: str, value: object) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key).replace("-", " ")
    parts = re.split(r"[_\s]+", words.strip("_ ").lower())
    unit = ""
    if len(parts) > 1 and parts[-1] in _UNITS and isinstance(value, (int, float)):
        unit = f" {_UNITS[parts.pop()]}"
    return _sentence(f"The {' '.join(parts)} is {_said(value)}{unit}")


def _said(value: object) -> str:
    match value:
        case True:
            return "yes"
        case False:
            return "no"
        case None:
            return "nothing"
        case list():
            return ", ".join(_said(item) for item in value[:_MOST_FACTS])
        case Mapping():
            facts = list(_flatten(value))[:_MOST_FACTS]
            return ", ".join(f"{key} {_said(inner)}" for key, inner in facts)
        case _:
            return " ".join(str(value).replace("_", " ").split())[:_LONGEST]


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
