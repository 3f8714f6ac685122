"""Values of the JSON data model as YAML text that people edit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner.config.yaml.nodes import NotJsonError, resolve_plain

# Short values stay in one line.
_MAX_FLOW_CHARS = 60
# Texts that need no quotes, between brackets and for readers of YAML 1.1 as well.
_PLAIN = re.compile(
    r"(?!(?i:y|n|yes|no|on|off)$)[^\W\d_](?:[\w ./$()+-]*[\w./$()])?"
    r"|[0-9]+(?:ms|s|m|h)"
)
# Characters that are valid in JSON but not in YAML.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
# A text that a literal block (`|-`) keeps as it is.
_LITERAL = re.compile(r"\S[^\n]*(?:\n(?:\S[^\n]*|[ \t]+\S[^\n]*)?)*")


def write_yaml(value: Mapping[str, Any]) -> str:
    """Returns a YAML document; reading it gives the same value."""
    return "".join(f"{line}\n" for line in _mapping(value))


def write_scalar(text: str, plain: re.Pattern[str] | None = None) -> str:
    """Returns a text as a YAML scalar, quoted if necessary.

    `plain` matches the texts that need no quotes at their place; by default those that
    need none between brackets either.
    """
    try:
        is_text = resolve_plain(text) == text
    except NotJsonError:
        is_text = False
    if is_text and (plain or _PLAIN).fullmatch(text):
        return text
    written = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _mapping(value: Mapping[str, Any]) -> Iterator[str]:
    for key, each in value.items():
        name = write_scalar(key)
        flow = _flow(each)
        if isinstance(each, str) and "\n" in each and _is_literal(each):
            yield f"{name}: |-"
            yield from (f"  {line}" if line else "" for line in each.split("\n"))
        elif not isinstance(each, (Mapping, list)) or (
            len(flow) <= _MAX_FLOW_CHARS or not each
        ):
            yield f"{name}: {flow}"
        else:
            yield f"{name}:"
            yield from (f"  {line}" if line else "" for line in _block(each))


def _block(value: Mapping[str, Any] | list[Any]) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value)
        return
    for each in value:
        flow = _flow(each)
        if not isinstance(each, Mapping) or len(flow) <= _MAX_FLOW_CHARS or not each:
            yield f"- {flow}"
            continue
        lines = list(_mapping(each))
        yield f"- {lines[0]}"
        yield from (f"  {line}" if line else "" for line in lines[1:])


def _is_literal(text: str) -> bool:
    is_block = not text.endswith("\n") and _LITERAL.fullmatch(text) is not None
    return is_block and all(each.isprintable() or each in "\n\t" for each in text)


def _flow(value: Any) -> str:
    if isinstance(value, str):
        return write_scalar(value)
    if isinstance(value, Mapping):
        inside = (f"{write_scalar(key)}: {_flow(each)}" for key, each in value.items())
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)
