"""One line of a log: as text for people, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from runner.observers.options import LogFormat

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
# A text needs no quotes if it holds none of these.
_SPECIAL = frozenset(' ="\\')


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Something that happened; `at` is epoch seconds, "" an id that there is not."""

    at: float
    level: Level
    event: str
    session: str = ""
    call: str = ""
    agent: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def write_entry(entry: LogEntry, format: LogFormat) -> str:
    """Return the one line of an entry, without its end; nothing in it breaks it."""
    ids = {"session": entry.session, "call": entry.call, "agent": entry.agent}
    known = {name: value for name, value in ids.items() if value}
    time = _time(entry.at)
    if format == "json":
        head = {"ts": time, "level": entry.level, "event": entry.event}
        return _json({**head, **known, **entry.fields})
    pairs = {**known, **entry.fields}
    said = " ".join(f"{name}={_word(value)}" for name, value in pairs.items())
    return f"{time} {entry.level.upper():7} {entry.event} {said}".rstrip()


def _time(at: float) -> str:
    """Return RFC 3339 in UTC, with milliseconds."""
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _word(value: Any) -> str:
    if isinstance(value, str) and value and value.isprintable():
        return value if _SPECIAL.isdisjoint(value) else _json(value)
    return _json(value)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    if text.isprintable():
        return text
    # What would end a line for some reader, command a terminal, or not be UTF-8.
    escaped = json.dumps(value, separators=(",", ":"), default=str)
    return escaped.replace("\x7f", "\\u007f")
