"""Turns errors of the YAML parser into helpful messages at the relevant place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple


class Message(NamedTuple):
    """A message and its help line."""

    message: str
    help: str | None


@dataclass(frozen=True, slots=True)
class ParserError:
    """An error of the parser: the problem, its context, and the offsets of both."""

    problem: str
    context: str
    at: int
    context_at: int


class _KnownError(NamedTuple):
    problem: str  # part of the problem text of libyaml or PyYAML
    context: str  # part of its context text
    name: str  # in _MESSAGES
    at_context: bool = False  # mark the start of the construct


_MESSAGES = {
    "value": Message(
        "a `key: value` is not allowed here",
        "put a text that holds `: ` in quotes; check the indentation",
    ),
    "quote": Message(
        "this quote is never closed",
        "close it, or write a long text as a block after `|`",
    ),
    "quote at marker": Message(
        "this quote is never closed", "close it before the `---` or `...`"
    ),
    "escape": Message(
        "this text has an unknown backslash escape",
        "use single quotes, in which a backslash is a plain character",
    ),
    "bracket [": Message(
        "this `[` is not closed where it should be",
        "put `,` between items and `]` at the end",
    ),
    "bracket {": Message(
        "this `{` is not closed where it should be",
        "put `,` between entries and `}` at the end",
    ),
    "closer": Message("unmatched `%s`", "remove it"),
    "comma": Message("a `,` is missing before this", "put `,` between entries"),
    "colon": Message(
        "this line is neither a `key: value` nor part of a text above it",
        "add the `:`, or indent the line under the text it belongs to",
    ),
    "blank": Message(
        "the blank after the `:` of this key is missing", "write `key: value`"
    ),
    "dash": Message(
        "this line does not belong to the list above it",
        "begin items with `- `; a key needs the indentation of its mapping",
    ),
    "indentation": Message(
        "this line does not fit the indentation of the lines above it",
        "lines of one mapping or list begin in the same column",
    ),
    "below block": Message(
        "this line has less indentation than the text block above it",
        "indent it as far as the other lines of the text; a key of the file begins in "
        "the column of the other keys",
    ),
    "version": Message("unknown YAML version", "remove the `%YAML` line"),
    "tab": Message(
        "a tab cannot indent a line",
        "indent with spaces; YAML does not allow tabs there",
    ),
    "left over": Message(
        "unexpected text after the value",
        "put one pair of quotes around the whole text",
    ),
    "reserved": Message("a value cannot begin with `%s`", "put the value in quotes"),
}
# `key: |` or `- >-`, at the end of a line.
_BLOCK_HEADER = re.compile(r"(?:^|[:\-?]\s+)[|>][+-]?[0-9]?[+-]?\s*(?:\s#.*)?$")
_KNOWN_ERRORS = (
    _KnownError("mapping values are not allowed", "", "value"),
    _KnownError("unexpected end of stream", "quoted scalar", "quote", at_context=True),
    _KnownError(
        "unexpected document indicator",
        "quoted scalar",
        "quote at marker",
        at_context=True,
    ),
    _KnownError("unknown escape character", "", "escape"),
    _KnownError("expected ',' or", "flow sequence", "bracket [", at_context=True),
    _KnownError("expected ',' or", "flow mapping", "bracket {", at_context=True),
    _KnownError("could not find expected ':'", "", "colon", at_context=True),
    _KnownError("did not find expected key", "", "indentation"),
    _KnownError("expected <block end>", "", "indentation"),
    _KnownError("did not find expected '-'", "", "dash"),
    _KnownError("incompatible YAML document", "", "version"),
)


def message_for(name: str, character: str = "") -> Message:
    """Returns the message of a syntax error, for some with the character in it."""
    found = _MESSAGES.get(f"{name} {character}")
    if found is not None:
        return found
    message, help_ = _MESSAGES[name]
    return Message(message.replace("%s", character), help_)


# Characters that look like those of YAML, as copied from web pages and documents.
_LOOKALIKES = {
    "\u00a0": ("a no-break space", "a plain space"),
    "\u2007": ("a figure space", "a plain space"),
    "\u202f": ("a narrow no-break space", "a plain space"),
    "\u3000": ("an ideographic space", "a plain space"),
    "\uff1a": ("a full-width colon", "`:` and a space"),
    "\u2236": ("a ratio sign", "`:` and a space"),
    "\uff0d": ("a full-width hyphen", "`- `"),
    "\u2013": ("an en dash", "`- `"),
    "\u2022": ("a bullet", "`- `"),
}
# At the beginning of a line, as its first mark, at the end of a key, and after it.
_LOOKALIKE = re.compile(
    r" *([\u00a0\u2007\u202f\u3000])"
    r"| *([\uff0d\u2013\u2022])\s"
    r"| *(?:- *)?[\w.-]{1,60} *([\uff1a\u2236])"
    r"| *(?:- *)?[\w.-]{1,60}:([\u00a0\u2007\u202f\u3000])"
)


def find_lookalike(text: str, at: int) -> tuple[int, Message] | None:
    """Returns the place and message of a character that looks like one of YAML.

    Searches the line at an offset and the one before it.
    """
    start = text.rfind("\n", 0, at) + 1
    for begin in (start, text.rfind("\n", 0, max(0, start - 1)) + 1):
        found = _LOOKALIKE.match(text, begin)
        if found:
            place = found.start(found.lastindex or 0)
            character = text[place]
            name, plain = _LOOKALIKES[character]
            code = f"U+{ord(character):04X}"
            return place, Message(f"this is {name} ({code})", f"write {plain} instead")
    return None


def explain_syntax(text: str, error: ParserError) -> tuple[int, Message]:
    """Returns the offset to mark and the message for a parser error."""
    at, problem = error.at, error.problem
    lookalike = find_lookalike(text, at)
    if lookalike is not None:
        return lookalike
    character = text[at : at + 1]
    if "cannot start any token" in problem:
        return at, message_for("tab") if character == "\t" else message_for(
            "reserved", character
        )
    line_start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    before = text[line_start:at].strip()
    if character == "\t" and not before:
        return at, message_for("tab")
    if before and ("expected key" in problem or "<block end>" in problem):
        return at, message_for("left over")
    for each in _KNOWN_ERRORS:
        if each.problem in problem and each.context in error.context:
            place = error.context_at if each.at_context else at
            name = each.name
            if name in ("indentation", "colon") and _follows_block(text, place):
                name = "below block"
            return place, message_for(name)
    return at, Message(f"this is not YAML: {problem}", None)


def _follows_block(text: str, at: int) -> bool:
    """True if the line at an offset follows a text block and has less indentation.

    It is then a line of the text, unless it is indented as the key of the block.
    """
    lines = text[:at].splitlines()
    if text[:at].endswith("\n"):
        lines.append("")
    *above, before = lines or [""]
    indentation = len(before) - len(before.lstrip(" "))
    for line in reversed(above):
        if not line.strip():
            continue
        column = len(line) - len(line.lstrip(" "))
        if _BLOCK_HEADER.search(line):
            return column < indentation
        if column <= indentation:
            return False
    return False
