"""The grammar (GBNF) that lets a small model only speak or call a tool, in legal JSON.

A model of half a billion parameters that may write what it likes calls no tool at all;
held to one line that is either `{"say": ...}` or `{"tool": ..., "arguments": ...}`, it
decides right nine times of ten.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from runner.speech.brain.interval import translate_interval
from runner.speech.brain.pattern import (
    ANY_CHARACTER,
    UnsupportedPattern,
    quote,
    translate_pattern,
)
from runner.speech.brain.signature import Signature

LONGEST_SAY = 280  # characters: some twenty seconds of speech
LONGEST_STRING = 60
_MOST_ITEMS = 6
_DEEPEST = 10  # levels; only a schema that refers to itself is deeper
_MOST_RULES = 300  # of one tool: a schema that refers to itself often is cut there
_NUMBERED_VALUES = 64  # multiples are written out up to so many

# What is spoken has no markup in it, so the grammar has none either.
_MARKUP = r"*#`{}<>|_~\[\]\\\""
_SPEECH = (
    f"speech ::= first later{{1,{LONGEST_SAY - 1}}}\n"
    f"first ::= [^\\x00-\\x20(){_MARKUP}]\n"
    f"later ::= [^\\x00-\\x1F(){_MARKUP}]\n"
)
_SAY = 'say ::= "{\\"say\\": \\"" speech "\\"}"\n' + _SPEECH
_LEAVES = (
    f"ch ::= {ANY_CHARACTER}\n"
    f'str ::= "\\"" ch{{1,{LONGEST_STRING}}} "\\""\n'
    'int ::= "-"? ("0" | [1-9] [0-9]{0,8})\n'
    'num ::= int ("." [0-9]{1,4})?\n'
    'bool ::= "true" | "false"\n'
    'any ::= str | num | bool | "null"\n'
)


def speech_grammar() -> str:
    """Return the grammar of plain words that a voice can speak."""
    return "root ::= speech\n" + _SPEECH


def decision_grammar(tools: Sequence[Signature], *, may_speak: bool = True) -> str:
    """Return the grammar "speak, or call one of these tools with legal arguments".

    `tools` must not be empty: without tools there is nothing to decide.
    """
    names = [f"t{number}" for number in range(len(tools))]
    choices = ["say", *names] if may_speak else names
    rules = [f"root ::= {' | '.join(choices)}\n", _SAY, _LEAVES]
    for name, tool in zip(names, tools, strict=True):
        head = '{"tool": ' + json.dumps(tool.name) + ', "arguments": '
        translator = _Translator(tool.schema, name)
        body = translator.object(tool.schema, 0)
        rules += [f'{name} ::= {quote(head)} {body} "}}"\n', *translator.rules]
    return "".join(rules)


class _Translator:
    """Turns one schema into one expression; what it cannot say it says more widely."""

    def __init__(self, root: Mapping[str, Any], name: str) -> None:
        self._root = root
        self._name = name
        self.rules: list[str] = []

    def value(self, schema: object, depth: int) -> str:
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return "any"
        if len(self.rules) > _MOST_RULES:
            return "any"
        schema = self._resolve(schema)
        if "const" in schema:
            return _json_literal(schema["const"])
        choices = schema.get("enum")
        if isinstance(choices, Sequence) and not isinstance(choices, str) and choices:
            return _either([_json_literal(choice) for choice in choices])
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), Sequence) and schema[key]:
                return _either([self.value(s, depth + 1) for s in schema[key]])
        kinds = schema.get("type", _guess_type(schema))
        if isinstance(kinds, str):
            return self._typed(kinds, schema, depth)
        if isinstance(kinds, Sequence) and kinds:
            return _either([self._typed(str(k), schema, depth) for k in kinds])
        return "any"

    def object(self, schema: Mapping[str, Any], depth: int) -> str:
        schema = self._resolve(schema)
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        required = [
            str(name)
            for name in (required if isinstance(required, Sequence) else ())
            if not isinstance(required, str)
        ]
        members = {
            name: self._rule(
                f"{quote(json.dumps(name) + ': ')} "
                + self.value(properties.get(name), depth + 1)
            )
            for name in dict.fromkeys((*required, *properties))
        }
        wanted = [members[name] for name in dict.fromkeys(required)]
        optional = [text for name, text in members.items() if name not in required]
        return f'"{{" {_members(wanted, optional)} "}}"'

    def _rule(self, expression: str) -> str:
        """Give an expression that is used more than once a name."""
        name = f"{self._name}-{len(self.rules)}"
        self.rules.append(f"{name} ::= {expression}\n")
        return name

    def _typed(self, kind: str, schema: Mapping[str, Any], depth: int) -> str:
        match kind:
            case "string":
                return _string(schema)
            case "integer":
                return _integer(schema)
            case "number":
                return _number(schema)
            case "boolean":
                return "bool"
            case "null":
                return '"null"'
            case "array":
                return self._array(schema, depth)
            case "object":
                return self.object(schema, depth)
            case _:
                return "any"

    def _array(self, schema: Mapping[str, Any], depth: int) -> str:
        item = self._rule(self.value(schema.get("items", {}), depth + 1))
        least = _count(schema.get("minItems")) or 0
        most = _count(schema.get("maxItems"))
        most = max(least, _MOST_ITEMS) if most is None else max(least, min(most, 20))
        if most == 0:
            return '"[]"'
        rest = f'(", " {item}){{{max(0, least - 1)},{most - 1}}}' if most > 1 else ""
        inner = f"{item} {rest}"
        return f'"[" {inner} "]"' if least else f'"[" ({inner})? "]"'

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow local references and fold `allOf` into one schema."""
        for _ in range(_DEEPEST):
            reference = schema.get("$ref")
            if isinstance(reference, str):
                found = _look_up(self._root, reference)
                siblings = {k: v for k, v in schema.items() if k != "$ref"}
                schema = {**found, **siblings}
            elif isinstance(schema.get("allOf"), Sequence):
                merged: dict[str, Any] = {}
                for part in schema["allOf"]:
                    merged.update(part if isinstance(part, Mapping) else {})
                merged.update({k: v for k, v in schema.items() if k != "allOf"})
                schema = merged
            else:
                return schema
        return {}


def _members(required: list[str], optional: list[str]) -> str:
    if required:
        tail = "".join(f' (", " {member})?' for member in optional)
        return ' ", " '.join(required) + tail
    # Without a required member, whichever optional one comes first has no comma.
    starts = [
        member + "".join(f' (", " {other})?' for other in optional[at + 1 :])
        for at, member in enumerate(optional)
    ]
    return f"({' | '.join(starts)})?" if starts else ""


def _string(schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        try:
            return f'"\\"" {translate_pattern(pattern)} "\\""'
        except UnsupportedPattern:
            pass  # the tool's own check stays; the model just gets no help here
    if schema.get("format") == "date":
        return (
            '"\\"20" [0-9] [0-9] "-" ("0" [1-9] | "1" [0-2]) "-" '
            '("0" [1-9] | [12] [0-9] | "3" [01]) "\\""'
        )
    least = _count(schema.get("minLength"))
    most = _count(schema.get("maxLength"))
    if least is None and most is None:
        return "str"
    least = 1 if least is None else least
    most = LONGEST_STRING if most is None else min(most, LONGEST_STRING)
    most = max(least, most)
    return f'"\\"" ch{{{min(least, most)},{most}}} "\\""' if most else '"\\"\\""'


def _bounds(schema: Mapping[str, Any]) -> tuple[float | None, float | None]:
    least, most = (_finite(schema.get(key)) for key in ("minimum", "maximum"))
    above, below = (
        _finite(schema.get(key)) for key in ("exclusiveMinimum", "exclusiveMaximum")
    )
    # The next whole number: what lies between it and the bound is given up.
    if above is not None:
        least = max(least if least is not None else above, math.floor(above) + 1)
    if below is not None:
        most = min(most if most is not None else below, math.ceil(below) - 1)
    return least, most


def _integer(schema: Mapping[str, Any]) -> str:
    least, most = _bounds(schema)
    low = None if least is None else math.ceil(least)
    high = None if most is None else math.floor(most)
    step = schema.get("multipleOf")
    if low is not None and high is not None and isinstance(step, int) and step > 1:
        values = range(low + -low % step, high + 1, step)
        if 0 < len(values) <= _NUMBERED_VALUES:
            return _either([quote(str(value)) for value in values])
    if (low is None and high is None) or (
        low is not None and high is not None and low > high
    ):
        return "int"
    return translate_interval(low, high)


def _number(schema: Mapping[str, Any]) -> str:
    least, most = _bounds(schema)
    if least is None and most is None:
        return "num"
    low = None if least is None else math.ceil(least)
    high = None if most is None else math.floor(most)
    if low is not None and high is not None and low > high:
        return "num"
    whole = translate_interval(low, high)
    # A fraction leads away from zero, so it may follow only where that side has room.
    if low is None or low < 0:
        return whole
    if high is not None and low == high:
        return whole
    inside = translate_interval(low, None if high is None else high - 1)
    return f'({whole} | {inside} "." [0-9]{{1,4}})'


def _either(branches: list[str]) -> str:
    return branches[0] if len(branches) == 1 else f"({' | '.join(branches)})"


def _json_literal(value: object) -> str:
    return quote(json.dumps(value, ensure_ascii=False))


def _guess_type(schema: Mapping[str, Any]) -> str:
    if "properties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    return "string" if "pattern" in schema or "maxLength" in schema else ""


def _look_up(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    found: object = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key, {}) if key and isinstance(found, Mapping) else found
    return found if isinstance(found, Mapping) else {}


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count and isinstance(value, int) else None


def _finite(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value if math.isfinite(value) else None
    return None
