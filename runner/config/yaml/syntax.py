"""What the YAML parser means: its complaints in words that help, at a useful place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Message(NamedTuple):
    """A message and its help line."""

    message: str
    help: str | None


@dataclass(frozen=True, slots=True)
class ParserError:
    """What the parser says, and where: the problem, and what it was reading then."""

    problem: str
    context: str
    at: int
    context_at: int


class _Known(NamedTuple):
    problem: str  # part of the parser's problem text; libyaml's and PyYAML's wordings
    context: str  # part of its context text
    words: str
    at_context: bool = False  # point at where the construct began


_WORDS = {
    "value": Message(
        "a `key: value` cannot stand here",
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
        "this text holds a backslash that YAML does not know",
        "use single quotes, in which a backslash is only a backslash",
    ),
    "bracket [": Message(
        "this `[` is not closed where it should be",
        "put `,` between items and `]` at the end",
    ),
    "bracket {": Message(
        "this `{` is not closed where it should be",
        "put `,` between entries and `}` at the end",
    ),
    "closer": Message("there is nothing that this `%s` closes", "remove it"),
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
    "version": Message("this version of YAML is not known", "remove the `%YAML` line"),
    "tab": Message(
        "a tab cannot indent a line",
        "indent with spaces; YAML does not allow tabs there",
    ),
    "left over": Message(
        "something is left over after the value",
        "one pair of quotes goes around the whole text",
    ),
    "reserved": Message("a value cannot begin with `%s`", "put the value in quotes"),
}
_COMPLAINTS = (
    _Known("mapping values are not allowed", "", "value"),
    _Known("unexpected end of stream", "quoted scalar", "quote", at_context=True),
    _Known(
        "unexpected document indicator",
        "quoted scalar",
        "quote at marker",
        at_context=True,
    ),
    _Known("unknown escape character", "", "escape"),
    _Known("expected ',' or", "flow sequence", "bracket [", at_context=True),
    _Known("expected ',' or", "flow mapping", "bracket {", at_context=True),
    _Known("could not find expected ':'", "", "colon", at_context=True),
    _Known("did not find expected key", "", "indentation"),
    _Known("expected <block end>", "", "indentation"),
    _Known("did not find expected '-'", "", "dash"),
    _Known("incompatible YAML document", "", "version"),
)


def words(name: str, character: str = "") -> Message:
    """Return what is said about a fault; some are about a character."""
    found = _WORDS.get(f"{name} {character}")
    if found is not None:
        return found
    message, help_ = _WORDS[name]
    return Message(message.replace("%s", character), help_)


def explain_syntax(text: str, complaint: ParserError) -> tuple[int, Message]:
    """Say in words what the parser complains of, and the offset to show."""
    at, problem = complaint.at, complaint.problem
    character = text[at : at + 1]
    if "cannot start any token" in problem:
        return at, words("tab") if character == "\t" else words("reserved", character)
    line_start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    before = text[line_start:at].strip()
    if character == "\t" and not before:
        return at, words("tab")
    if before and ("expected key" in problem or "<block end>" in problem):
        return at, words("left over")
    for each in _COMPLAINTS:
        if each.problem in problem and each.context in complaint.context:
            place = complaint.context_at if each.at_context else at
            return place, words(each.words)
    return at, Message(f"this is not YAML: {problem}", None)
