"""What a broken service says: messages that are none, and too many of them."""

from __future__ import annotations

import json
import re
from random import Random

from runner.faults.fault import Flood, Garbage
from runner.faults.keys import FORMS
from runner.faults.steps import Data

# Deeper than any JSON reader's stack, and still a small message.
_NESTING = 20_000
_GARBAGE: dict[str, Data] = {
    "text": "<html><body>502 Bad Gateway</body></html>",
    "truncated": '{"type":"reply.audio","data":"AAAA',
    "nested": "[" * _NESTING,
    "array": '[{"type":"reply.started"}]',
    "untyped": '{"hello":"world"}',
    "mistyped": '{"type":"tool.call","call_id":7,"name":null,"arguments":[]}',
    "binary": b"\x00\xff\xfe\x01" * 120,
}
# The codec's own spelling, which spares most messages a second reading.
_TYPE = re.compile(r'\{"type":"([a-z._]+)"')


def type_of(data: Data) -> str:
    """Return the type of a message; empty where it has none that can be read."""
    if isinstance(data, bytes):
        return ""
    found = _TYPE.match(data)
    if found is not None:
        return found[1]
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    name = content.get("type") if isinstance(content, dict) else None
    return name if isinstance(name, str) else ""


def garbage(effect: Garbage, lots: Random) -> Data:
    """Return something that is no message."""
    return _GARBAGE[effect.form or lots.choice(FORMS)]


def flood(effect: Flood, original: Data | None) -> list[Data]:
    """Return the messages of a flood; `original` is the one that set it off."""
    if effect.copies and original is not None:
        return [original] * effect.count
    head, tail = '{"type":"vagent.flood","padding":"', '"}'
    padding = "x" * max(0, effect.size - len(head) - len(tail))
    return [f"{head}{padding}{tail}"] * effect.count
