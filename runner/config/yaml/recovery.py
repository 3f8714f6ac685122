"""Reads on after a syntax error: takes back the slip that most likely caused it.

Of all guesses the one is believed whose edit lets the parser go on, to the end of the
text if any does. Only a text that becomes readable as a whole is used: what a
half-mended one says would be guesswork.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from runner.config.diagnostics import Edit
from runner.config.source import Lines
from runner.config.yaml.syntax import Message, explain_syntax, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.config.diagnostics import Edit
    from runner.config.yaml.syntax import Message, ParserError

    Read = Callable[[str], ParserError | None]
    from collections.abc import Iterator

    from runner.config.yaml.syntax import ParserError


# A file with more slips is something else than an agent file.
_MOST_FAULTS = 20
# Characters that may be read in all: about a second's work.
_BUDGET = 2_000_000


class SyntaxFault(NamedTuple):
    """What is wrong with the text at an offset."""

    at: int
    words: Message


@dataclass(slots=True)
class Recovered:
    """What is wrong with a text, and the text as it was meant to be.

    `text` is None where that is not known for sure. `origins` says for each of its
    offsets which one of the broken text it was; `offsets` are all places that were
    edited, so that nobody builds on them.
    """

    faults: list[SyntaxFault]
    text: str | None
    origins: array[int]
    offsets: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Attempt:
    slip: SyntaxGuess
    text: str
    complaint: ParserError | None  # the next one, None where the text can be read


def recover(text: str, complaint: ParserError, read: Read) -> Recovered:
    """Find what is wrong with a text that the parser complains of.

    `read` returns the parser's complaint about a text, None when it has none.
    """
    result = Recovered([], text, array("L", range(len(text) + 1)))
    reader = _Reader(read)
    current = text
    next_: ParserError | None = complaint
    while next_ is not None:
        best = reader.best(current, next_)
        if best is None or len(result.faults) >= _MOST_FAULTS:
            break
        result.faults.append(SyntaxFault(result.origins[best.slip.at], best.slip.words))
        _record(result, best.slip.edit)
        if not best.slip.is_sure:
            result.text = None
        current, next_ = best.text, best.complaint
    if next_ is None:
        result.text = result.text and current
        return result
    # A later fault may be a mere consequence of a wrong guess.
    first = result.faults[:1] or [SyntaxFault(*explain_syntax(text, complaint))]
    return Recovered(first, None, result.origins)


def _record(result: Recovered, edit: Edit) -> None:
    origins = result.origins
    origin = origins[edit.start]
    result.offsets += [origin, origins[edit.end]]
    origins[edit.start : edit.end] = array("L", [origin] * len(edit.text))


class _Reader:
    """Tries edits, within a budget."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._left = _BUDGET

    def best(self, text: str, complaint: ParserError) -> _Attempt | None:
        """Return the attempt after which the parser goes furthest, None if none helps.

        It has to get past the line that it could not read.
        """
        best: _Attempt | None = None
        # What is never closed is complained of at the end, and began further up.
        at_end = not text[complaint.at :].strip()
        start = complaint.context_at if at_end else complaint.at
        line_end = text.find("\n", start)
        least = len(text) - line_end if line_end >= 0 else 0
        for slip in find_slips(text, complaint):
            if self._left < len(text):
                break
            self._left -= len(text)
            start, end, new = slip.edit.start, slip.edit.end, slip.edit.text
            changed = text[:start] + new + text[end:]
            next_ = self._read(changed)
            if next_ is None:
                return _Attempt(slip, changed, None)
            remaining = len(changed) - next_.at
            if remaining < least:
                least, best = remaining, _Attempt(slip, changed, next_)
        return best


# Slips of people who write YAML: where each shows, and the edit that takes it back.
#
# A parser says where it could not go on, which is often not where the fault is. So each
# slip is only a guess here; `recovery` believes the one whose edit lets the parser go
# on.


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
_MOST_INSIDE = 60  # lines between brackets
_MOST_LINES = 400  # upwards, in search of the quote that was never closed


@dataclass(frozen=True, slots=True)
class SyntaxGuess:
    """What may have gone wrong at an offset.

    `edit` takes it back; `is_sure` says that what stands around it then means what it
    was meant to mean.
    """

    at: int
    words: Message
    edit: Edit
    is_sure: bool = True


def find_slips(text: str, complaint: ParserError) -> Iterator[SyntaxGuess]:
    """Yield what may have gone wrong, the more telling slips first."""
    lines = Lines(text)
    here = lines.at(complaint.at)
    near = dict.fromkeys((here, lines.at(complaint.context_at), lines.above(here)))
    numbers = [each for each in near if each is not None]
    yield from _tabs(lines, here)
    for find in (_no_dash_blank, _no_blank, _no_colon):
        yield from chain.from_iterable(find(lines, each) for each in numbers)
    yield from _indentation(lines, complaint)
    in_flow = "flow" in complaint.context
    if in_flow:
        yield from _no_comma(lines, complaint)
    yield from _open_quotes(lines, here)
    if in_flow:
        yield from _open_bracket(lines, complaint)
    yield from _characters(text, complaint)
    yield from _left_over(lines, complaint)


def _tabs(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    start, line = lines.start(number), lines[number]
    found = _TABS.match(line)
    if found is None:
        return
    widths = list(dict.fromkeys(_fitting_widths(lines, number)))
    for width in widths:
        edit = Edit(start, start + found.end(), " " * width)
        # A tab may stand for any number of blanks.
        yield SyntaxGuess(
            start + found.start(1), words("tab"), edit, is_sure=len(widths) == 1
        )


def _fitting_widths(lines: Lines, number: int) -> Iterator[int]:
    """Yield how far a line may be indented, going by the lines around it."""
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
    """Yield the indentation of the blocks that are open above a line, inmost first."""
    least: int | None = None
    for each in lines.speaking_above(number):
        line = lines[each]
        if least is not None and lines.indent(each) >= least:
            continue
        if not _BEGINS_ENTRY.match(line):
            continue  # a line of a text
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
        yield SyntaxGuess(at, words("dash"), Edit(at + 1, at + 1, " "))


def _no_blank(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    found = _NO_BLANK.match(lines[number])
    if found:
        start = lines.start(number)
        after = start + found.end()
        yield SyntaxGuess(
            start + found.start(2), words("blank"), Edit(after, after, " ")
        )


def _no_colon(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    found = _NO_COLON.match(lines[number])
    if found:
        start = lines.start(number)
        after = start + found.end(2)
        yield SyntaxGuess(
            start + found.start(2), words("colon"), Edit(after, after, ":")
        )


def _indentation(lines: Lines, complaint: ParserError) -> Iterator[SyntaxGuess]:
    number = lines.at(complaint.at)
    line, own = lines[number], lines.indent(number)
    entry = _BEGINS_ENTRY.match(line)
    if entry is None or "\t" in line[:own]:
        return
    # What the parser does not like further on has nothing to do with the beginning.
    if complaint.at >= lines.start(number) + entry.end():
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
        yield SyntaxGuess(start + own, words("indentation"), edit, is_sure=alone)


def _open_quotes(lines: Lines, number: int) -> Iterator[SyntaxGuess]:
    """Yield quotes that no line before the complaint's closes, the nearest first."""
    for each in range(number, max(-1, number - _MOST_LINES), -1):
        line, start = lines[each], lines.start(each)
        for found in _QUOTE.finditer(line):
            mark, at = found[1], found.start(1)
            closed = _closing(line, at)
            if closed is not None and each != number:
                continue
            for end in _quote_ends(line, at, closed):
                edit = Edit(start + end, start + end, mark)
                yield SyntaxGuess(start + at, words("quote"), edit)


def _closing(line: str, at: int) -> int | None:
    """Where the quote that opens at `at` is closed in this line, if it is."""
    pattern = r"\"(?:[^\"\\]|\\.)*\"" if line[at] == '"' else r"'(?:[^']|'')*'(?!')"
    found = re.compile(pattern).match(line, at)
    return found.end() if found else None


def _quote_ends(line: str, at: int, closed: int | None) -> Iterator[int]:
    """Yield where a closing quote may be missing."""
    if closed is None:
        yield len(line.rstrip())
        comment = line.find(" #", at)
        if comment > 0:
            yield len(line[:comment].rstrip())
    # Two quotes too close: the one that seems to close it opens the next text.
    for found in re.finditer(r"[ \t]*[,\]}]", line[at + 1 :]):
        if closed is None or at + 1 + found.start() < closed:
            yield at + 1 + found.start()


def _no_comma(lines: Lines, complaint: ParserError) -> Iterator[SyntaxGuess]:
    at = complaint.at
    number = lines.at(at)
    before = lines.text[lines.start(number) : at]
    if lines.text[at : at + 1] == ":":
        found = _ENTRY_BEFORE.search(before)
        if found:
            gap = lines.start(number) + found.start()
            key = lines.start(number) + found.start(1)
            yield SyntaxGuess(key, words("comma"), Edit(gap, gap, ","))
    elif before.endswith((" ", "\t")):
        gap = at - len(before) + len(before.rstrip())
        yield SyntaxGuess(at, words("comma"), Edit(gap, gap, ","))


def _open_bracket(lines: Lines, complaint: ParserError) -> Iterator[SyntaxGuess]:
    opened = _bracket_before(lines, complaint)
    if opened is None:
        return
    bracket = lines.text[opened]
    number = lines.at(opened)
    start, line = lines.start(number), lines[number]
    ends = [*_line_ends(lines, number), complaint.at]
    closers = _CLOSERS.search(line)
    if closers:
        ends += range(start + closers.start(), start + len(line.rstrip()))
    for below in range(number + 1, min(lines.at(complaint.at), number + _MOST_INSIDE)):
        ends += _line_ends(lines, below)
    for end in dict.fromkeys(each for each in ends if each > opened):
        edit = Edit(end, end, _CLOSER[bracket])
        # Further down, or among others, what is inside would be anybody's guess.
        is_sure = end <= start + len(line) and line.count(bracket) == 1
        yield SyntaxGuess(opened, words("bracket", bracket), edit, is_sure)


def _bracket_before(lines: Lines, complaint: ParserError) -> int | None:
    """Where the bracket is that the parser was in."""
    if lines.text[complaint.context_at : complaint.context_at + 1] in _CLOSER:
        return complaint.context_at
    last = lines.at(complaint.at)
    for number in range(last - 1, max(-1, last - _MOST_INSIDE), -1):
        found = _OPENS_FLOW.search(lines[number])
        if found:
            return lines.start(number) + found.start(1)
    return None


def _line_ends(lines: Lines, number: int) -> Iterator[int]:
    """Yield where a line ends, and where what stands before its comment does."""
    start, line = lines.start(number), lines[number]
    yield start + len(line.rstrip())
    comment = line.find(" #")
    if comment > 0:
        yield start + len(line[:comment].rstrip())


def _characters(text: str, complaint: ParserError) -> Iterator[SyntaxGuess]:
    at, problem = complaint.at, complaint.problem
    character = text[at : at + 1]
    if character and character in "]}":
        yield SyntaxGuess(at, words("closer", character), Edit(at, at + 1, ""))
    if "unknown escape" in problem:
        slash = text.rfind("\\", 0, at + 1)
        yield SyntaxGuess(slash, words("escape"), Edit(slash, slash, "\\"))
    if "cannot start any token" in problem and character in ("@", "`", "%"):
        yield SyntaxGuess(at, words("reserved", character), Edit(at, at + 1, ""))


def _left_over(lines: Lines, complaint: ParserError) -> Iterator[SyntaxGuess]:
    at = complaint.at
    start = lines.start(lines.at(at))
    before, rest = lines.text[start:at].rstrip(), lines[lines.at(at)][at - start :]
    if before.endswith(("'", '"')) and rest:
        for found in re.finditer(r"[,\]}]|$", rest):
            edit = Edit(at, at + found.start(), "")
            if found.start():
                yield SyntaxGuess(at, words("left over"), edit)
    if "mapping values" in complaint.problem and rest.startswith(":"):
        yield SyntaxGuess(at, words("value"), Edit(at, at + 1, ""))
