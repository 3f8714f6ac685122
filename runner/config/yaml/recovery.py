"""Recovers from YAML syntax errors by undoing the most likely typing mistake.

Each guess is tried; the one with which the parser gets furthest is used. The recovered
text is used only if it can be parsed to its end, because a partly repaired text may
have another meaning than intended.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from runner.config.diagnostics import Edit
from runner.config.source import Lines
from runner.config.yaml.syntax import Message, explain_syntax, message_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.config.yaml.syntax import ParserError

    Parse = Callable[[str], ParserError | None]


# A file with more mistakes is probably not an agent file.
_MAX_ERRORS = 20
# Characters that are parsed in total: about one second.
_MAX_PARSED = 2_000_000


class SyntaxProblem(NamedTuple):
    """A syntax error at an offset of the text."""

    at: int
    message: Message


@dataclass(slots=True)
class Recovered:
    """The errors of a text, and the recovered text.

    `text` is None if no guess is certain. `origins` maps each offset of the recovered
    text to the original one. `offsets` are the original offsets of all edits; other
    findings there are unreliable.
    """

    errors: list[SyntaxProblem]
    text: str | None
    origins: array[int]
    offsets: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Attempt:
    guess: SyntaxGuess
    text: str
    error: ParserError | None  # the next one, None if the text can be parsed


def recover(text: str, error: ParserError, parse: Parse) -> Recovered:
    """Finds the errors of a text, of which `error` is the first.

    `parse` returns the parser's first error in a text, None without one.
    """
    result = Recovered([], text, array("L", range(len(text) + 1)))
    reader = _Parser(parse)
    current = text
    next_: ParserError | None = error
    while next_ is not None:
        best = reader.best(current, next_)
        if best is None or len(result.errors) >= _MAX_ERRORS:
            break
        result.errors.append(
            SyntaxProblem(result.origins[best.guess.at], best.guess.message)
        )
        _record(result, best.guess.edit)
        if not best.guess.is_sure:
            result.text = None
        current, next_ = best.text, best.error
    if next_ is None:
        result.text = result.text and current
        return result
    # Later errors may be a consequence of a wrong guess.
    first = result.errors[:1] or [SyntaxProblem(*explain_syntax(text, error))]
    return Recovered(first, None, result.origins)


def _record(result: Recovered, edit: Edit) -> None:
    origins = result.origins
    origin = origins[edit.start]
    result.offsets += [origin, origins[edit.end]]
    origins[edit.start : edit.end] = array("L", [origin] * len(edit.text))


class _Parser:
    """Tries edits until `_MAX_PARSED` characters were parsed."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._left = _MAX_PARSED

    def best(self, text: str, error: ParserError) -> _Attempt | None:
        """Returns the attempt with which the parser gets furthest, None if none helps.

        It must get past the line of the error.
        """
        best: _Attempt | None = None
        # An unclosed construct is reported at the end of the text; it began further up.
        at_end = not text[error.at :].strip()
        start = error.context_at if at_end else error.at
        line_end = text.find("\n", start)
        least = len(text) - line_end if line_end >= 0 else 0
        for guess in find_guesses(text, error):
            if self._left < len(text):
                break
            self._left -= len(text)
            start, end, new = guess.edit.start, guess.edit.end, guess.edit.text
            changed = text[:start] + new + text[end:]
            next_ = self._parse(changed)
            if next_ is None:
                return _Attempt(guess, changed, None)
            remaining = len(changed) - next_.at
            if remaining < least:
                least, best = remaining, _Attempt(guess, changed, next_)
        return best


# Common typing mistakes in YAML, each with the edit that undoes it. The parser reports
# where it could not continue, which is often not the place of the mistake, so each is
# only a guess.

_BEGIN = r"[ \t]*(?:-[ \t]+)*"
_WORD = r"[A-Za-z_][\w.$-]*"
_KEY = rf"(?:{_WORD}|\"[^\"\\\r\n]*\"|'[^'\r\n]*')"
_NO_BLANK = re.compile(rf"({_BEGIN})({_KEY}):(?=[^\s:/,\]}}])")
_NO_COLON = re.compile(rf"({_BEGIN})({_WORD})(?=[ \t]|$)(?![ \t]*:)")
_NO_DASH_BLANK = re.compile(r"([ \t]*)-(?=[\w\"'{\[])")
_BEGINS_ENTRY = re.compile(rf"[ \t]*(?:-[ \t]|{_KEY}:(?:[ \t]|$))")
_TABS = re.compile(r" *(\t)[ \t]*(?=\S)")
_OPENS_BLOCK = re.compile(r"(?::|[|>][+-]?\d?)[ \t]*(?:#.*)?$")
_QUOTE = re.compile(r"(?:^[ \t]*|(?<=[:\-,\[{?])[ \t]+|(?<=[\[{,]))([\"'])")
_CLOSERS = re.compile(r"[ \t]*[\]}]+,?[ \t]*$")
_ENTRY_BEFORE = re.compile(rf"[ \t]+({_KEY})[ \t]*$")
_DASHES = re.compile(r"[ \t]*(?:-[ \t]+)+")
_OPENS_FLOW = re.compile(r"[:\-][ \t]+([\[{])[^\]}]*$")
_CLOSER = {"[": "]", "{": "}"}
_MAX_FLOW_LINES = 60  # lines between brackets
_MAX_LINES_BACK = 400  # searched upwards for an unclosed quote


@dataclass(frozen=True, slots=True)
class SyntaxGuess:
    """A possible mistake at an offset, and the edit that undoes it.

    `is_sure` is True if the text around the edit then has the intended meaning.
    """

    at: int
    message: Message
    edit: Edit
    is_sure: bool = True


def find_guesses(text: str, error: ParserError) -> Iterator[SyntaxGuess]:
    """Yields the possible mistakes, the most specific first."""
    lines = Lines(text)
    here = lines.at(error.at)
    near = dict.fromkeys((here, lines.at(error.context_at), lines.above(here)))
    numbers = [each for each in near if each is not None]
    yield from _tabs(lines, here)
    for find in (_no_dash_blank, _no_blank, _no_colon):
        yield from chain.from_iterable(find(lines, each) for each in numbers)
    yield from _indentation(lines, error)
    in_flow = "flow" in error.context
    if in_flow:
        yield from _no_comma(lines, error)
    yield from _open_quotes(lines, here)
    if in_flow:
        yield from _open_bracket(lines, error)
    yield from _characters(text, error)
    yield from _left_over(lines, error)


def _tabs(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    start, line = lines.start(number), lines[number]
    found = _TABS.match(line)
    if found is None:
        return
    widths = list(dict.fromkeys(_fitting_widths(lines, number)))
    for width in widths:
        edit = Edit(start, start + found.end(), " " * width)
        # A tab may mean any number of blanks.
        yield SyntaxGuess(
            start + found.start(1), message_for("tab"), edit, is_sure=len(widths) == 1
        )


def _fitting_widths(lines: Lines, number: int) -> Iterator[int]:
    """Yields possible indentations of a line, derived from the lines around it."""
    above, below = lines.above(number), lines.below(number)
    opens = _OPENS_BLOCK.search(lines[number]) is not None
    most = lines.indent(below) if below is not None and opens else None
    widths: list[int] = []
    if above is not None:
        step = 2 if _OPENS_BLOCK.search(lines[above]) else 0
        widths.append(lines.indent(above) + step)
    if below is not None:
        widths.append(lines.indent(below))
    widths += sorted(_open_widths(lines, number), reverse=True)
    yield from (each for each in widths if most is None or each < most)


def _open_widths(lines: Lines, number: int) -> Iterator[int]:
    """Yields the indentation of the blocks open above a line, innermost first."""
    least: int | None = None
    for each in lines.content_above(number):
        line = lines[each]
        if least is not None and lines.indent(each) >= least:
            continue
        if not _BEGINS_ENTRY.match(line):
            continue  # a line of a block text
        dashes = _DASHES.match(line)
        for width in (
            (dashes.end(), lines.indent(each)) if dashes else (lines.indent(each),)
        ):
            if least is None or width < least:
                least = width
                yield width
        if least == 0:
            return


def _no_dash_blank(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    found = _NO_DASH_BLANK.match(lines[number])
    if found:
        at = lines.start(number) + found.end(1)
        yield SyntaxGuess(at, message_for("dash"), Edit(at + 1, at + 1, " "))


def _no_blank(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    found = _NO_BLANK.match(lines[number])
    if found:
        start = lines.start(number)
        after = start + found.end()
        yield SyntaxGuess(
            start + found.start(2), message_for("blank"), Edit(after, after, " ")
        )


def _no_colon(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    found = _NO_COLON.match(lines[number])
    if found:
        start = lines.start(number)
        after = start + found.end(2)
        yield SyntaxGuess(
            start + found.start(2), message_for("colon"), Edit(after, after, ":")
        )


def _indentation(lines: Lines, error: ParserError) -> Iterator[SyntaxGuess]:
    number = lines.at(error.at)
    line, own = lines[number], lines.indent(number)
    entry = _BEGINS_ENTRY.match(line)
    if entry is None or "\t" in line[:own]:
        return
    # An error further right does not depend on the indentation.
    if error.at >= lines.start(number) + entry.end():
        return
    widths = set(_open_widths(lines, number)) - {own}
    below = lines.below(number)
    if below is not None and _BEGINS_ENTRY.match(lines[below]):
        widths |= {lines.indent(below)} - {own}
    start = lines.start(number)
    by_distance = sorted(widths, key=lambda width: (abs(width - own), -width))
    for width in by_distance:
        edit = Edit(start, start + own, " " * width)
        alone = sum(abs(each - own) <= abs(width - own) for each in widths) == 1
        yield SyntaxGuess(start + own, message_for("indentation"), edit, is_sure=alone)


def _open_quotes(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    """Yields quotes that are not closed before the error, the nearest first."""
    for each in range(number, max(-1, number - _MAX_LINES_BACK), -1):
        line, start = lines[each], lines.start(each)
        for found in _QUOTE.finditer(line):
            mark, at = found[1], found.start(1)
            closed = _closing(line, at)
            if closed is not None and each != number:
                continue
            for end in _quote_ends(line, at, closed):
                edit = Edit(start + end, start + end, mark)
                yield SyntaxGuess(start + at, message_for("quote"), edit)


def _closing(line: str, at: int) -> int | None:
    """Returns the offset after the quote that closes the one at `at` in this line."""
    pattern = r"\"(?:[^\"\\]|\\.)*\"" if line[at] == '"' else r"'(?:[^']|'')*'(?!')"
    found = re.compile(pattern).match(line, at)
    return found.end() if found else None


def _quote_ends(line: str, at: int, closed: int | None) -> Iterator[int]:
    """Yields offsets where a closing quote may be missing."""
    if closed is None:
        yield len(line.rstrip())
        comment = line.find(" #", at)
        if comment > 0:
            yield len(line[:comment].rstrip())
    # The quote that seems to close it may open the next text.
    for found in re.finditer(r"[ \t]*[,\]}]", line[at + 1 :]):
        if closed is None or at + 1 + found.start() < closed:
            yield at + 1 + found.start()


def _no_comma(lines: Lines, error: ParserError) -> Iterator[SyntaxGuess]:
    at = error.at
    number = lines.at(at)
    before = lines.text[lines.start(number) : at]
    if lines.text[at : at + 1] == ":":
        found = _ENTRY_BEFORE.search(before)
        if found:
            gap = lines.start(number) + found.start()
            key = lines.start(number) + found.start(1)
            yield SyntaxGuess(key, message_for("comma"), Edit(gap, gap, ","))
    elif before.endswith((" ", "\t")):
        gap = at - len(before) + len(before.rstrip())
        yield SyntaxGuess(at, message_for("comma"), Edit(gap, gap, ","))


def _open_bracket(lines: Lines, error: ParserError) -> Iterator[SyntaxGuess]:
    opened = _bracket_before(lines, error)
    if opened is None:
        return
    bracket = lines.text[opened]
    number = lines.at(opened)
    start, line = lines.start(number), lines[number]
    ends = [*_line_ends(lines, number), error.at]
    closers = _CLOSERS.search(line)
    if closers:
        ends += range(start + closers.start(), start + len(line.rstrip()))
    for below in range(number + 1, min(lines.at(error.at), number + _MAX_FLOW_LINES)):
        ends += _line_ends(lines, below)
    for end in dict.fromkeys(each for each in ends if each > opened):
        edit = Edit(end, end, _CLOSER[bracket])
        # On a later line or with several brackets the content is ambiguous.
        is_sure = end <= start + len(line) and line.count(bracket) == 1
        yield SyntaxGuess(opened, message_for("bracket", bracket), edit, is_sure)


def _bracket_before(lines: Lines, error: ParserError) -> int | None:
    """Returns the offset of the bracket that the parser was in."""
    if lines.text[error.context_at : error.context_at + 1] in _CLOSER:
        return error.context_at
    last = lines.at(error.at)
    for number in range(last - 1, max(-1, last - _MAX_FLOW_LINES), -1):
        found = _OPENS_FLOW.search(lines[number])
        if found:
            return lines.start(number) + found.start(1)
    return None


def _line_ends(lines: Lines, number: int) -> Iterator[int]:
    """Yields the end of a line, and the end of its text before a comment."""
    start, line = lines.start(number), lines[number]
    yield start + len(line.rstrip())
    comment = line.find(" #")
    if comment > 0:
        yield start + len(line[:comment].rstrip())


def _characters(text: str, error: ParserError) -> Iterator[SyntaxGuess]:
    at, problem = error.at, error.problem
    character = text[at : at + 1]
    if character and character in "]}":
        yield SyntaxGuess(at, message_for("closer", character), Edit(at, at + 1, ""))
    if "unknown escape" in problem:
        slash = text.rfind("\\", 0, at + 1)
        yield SyntaxGuess(slash, message_for("escape"), Edit(slash, slash, "\\"))
    if "cannot start any token" in problem and character in ("@", "`", "%"):
        yield SyntaxGuess(at, message_for("reserved", character), Edit(at, at + 1, ""))


def _left_over(lines: Lines, error: ParserError) -> Iterator[SyntaxGuess]:
    at = error.at
    start = lines.start(lines.at(at))
    before, rest = lines.text[start:at].rstrip(), lines[lines.at(at)][at - start :]
    if before.endswith(("'", '"')) and rest:
        for found in re.finditer(r"[,\]}]|$", rest):
            edit = Edit(at, at + found.start(), "")
            if found.start():
                yield SyntaxGuess(at, message_for("left over"), edit)
    if "mapping values" in error.problem and rest.startswith(":"):
        yield SyntaxGuess(at, message_for("value"), Edit(at, at + 1, ""))
