"""What the YAML parser means: its complaints in words that help, at a useful place."""

from __future__ import annotations

from typing import NamedTuple


class _Complaint(NamedTuple):
    problem: str  # part of the parser's problem text; libyaml's and PyYAML's wordings
    context: str  # part of its context text
    message: str
    help: str
    at_context: bool = False  # point at where the construct began


_COMPLAINTS = (
    _Complaint(
        "mapping values are not allowed",
        "",
        "a `key: value` cannot stand here",
        "put a text that holds `: ` in quotes; check the indentation",
    ),
    _Complaint(
        "unexpected end of stream",
        "quoted scalar",
        "this quote is never closed",
        "close it, or write a long text as a block after `|`",
        at_context=True,
    ),
    _Complaint(
        "unexpected document indicator",
        "quoted scalar",
        "this quote is never closed",
        "close it before the `---` or `...`",
        at_context=True,
    ),
    _Complaint(
        "unknown escape character",
        "",
        "this text holds a backslash that YAML does not know",
        "use single quotes, in which a backslash is only a backslash",
    ),
    _Complaint(
        "expected ',' or",
        "flow sequence",
        "this `[` is not closed where it should be",
        "put `,` between items and `]` at the end",
        at_context=True,
    ),
    _Complaint(
        "expected ',' or",
        "flow mapping",
        "this `{` is not closed where it should be",
        "put `,` between entries and `}` at the end",
        at_context=True,
    ),
    _Complaint(
        "could not find expected ':'",
        "",
        "this line is neither a `key: value` nor part of a text above it",
        "add the `:`, or indent the line under the text it belongs to",
        at_context=True,
    ),
    _Complaint(
        "did not find expected key",
        "",
        "this line does not fit the indentation of the lines above it",
        "lines of one mapping begin in the same column",
    ),
    _Complaint(
        "expected <block end>",
        "",
        "this line does not fit the indentation of the lines above it",
        "lines of one mapping or list begin in the same column",
    ),
    _Complaint(
        "did not find expected '-'",
        "",
        "this line does not belong to the list above it",
        "begin items with `- `; a key needs the indentation of its mapping",
    ),
    _Complaint(
        "incompatible YAML document",
        "",
        "this version of YAML is not known",
        "remove the `%YAML` line",
    ),
)
_TABS = "indent with spaces; YAML does not allow tabs there"
_LEFT_OVER = "one pair of quotes goes around the whole text"
_RESERVED = "put the value in quotes"


def explain_syntax(
    text: str, problem: str, context: str, problem_at: int, context_at: int
) -> tuple[int, str, str | None]:
    """Turn a parser's complaint into an offset, a message and a help line."""
    character = text[problem_at : problem_at + 1]
    if "cannot start any token" in problem:
        if character == "\t":
            return problem_at, "a tab cannot indent a line", _TABS
        return problem_at, f"a value cannot begin with `{character}`", _RESERVED
    line_start = (
        max(text.rfind("\n", 0, problem_at), text.rfind("\r", 0, problem_at)) + 1
    )
    before = text[line_start:problem_at].strip()
    if character == "\t" and not before:
        return problem_at, "a tab cannot indent a line", _TABS
    if before and ("expected key" in problem or "<block end>" in problem):
        return problem_at, "something is left over after the value", _LEFT_OVER
    for each in _COMPLAINTS:
        if each.problem in problem and each.context in context:
            return (
                context_at if each.at_context else problem_at,
                each.message,
                each.help,
            )
    return problem_at, f"this is not YAML: {problem}", None
