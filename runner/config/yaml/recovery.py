"""Reads on after a syntax error: takes back the slip that most likely caused it.

Of all guesses the one is believed whose edit lets the parser go on, to the end of the
text if any does. Only a text that becomes readable as a whole is used: what a
half-mended one says would be guesswork.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from runner.config.slips import SyntaxGuess, find_slips
from runner.config.yaml.syntax import explain_syntax

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.config.diagnostics import Edit
    from runner.config.yaml.syntax import Message, ParserError

    Read = Callable[[str], ParserError | None]

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
