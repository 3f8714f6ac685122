"""Cuts a growing text into clauses that a voice can already speak."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The first sound decides how quick an agent feels, so the first clause may be short;
# later ones are whole sentences, which a voice reads better.
FIRST_CLAUSE = 10  # characters, at least
LATER_CLAUSE = 20
LONG_CLAUSE = 70  # from here on a comma is enough
_STOPS = ".!?"
_PAUSES = ",;:"
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|st|vs|e\.g|i\.e|[a-z])\.$", re.I)


class ClauseCutter:
    """Takes text piece by piece and gives back each clause when it is complete.

    The clauses have no white space around them; joined with single blanks they are the
    text.
    """

    def __init__(self) -> None:
        self._text = ""
        self._given = 0

    def feed(self, piece: str) -> Iterator[str]:
        """Take the next piece; yield the clauses that it completes."""
        self._text += piece
        while (end := self._boundary()) is not None:
            clause = self._text[:end].strip()
            self._text = self._text[end:]
            if clause:
                self._given += 1
                yield clause

    def finish(self) -> Iterator[str]:
        """Yield what is left; the text is over."""
        rest, self._text = self._text.strip(), ""
        if rest:
            self._given += 1
            yield rest

    def _boundary(self) -> int | None:
        # Only a mark with white space after it ends a clause: 3.5 and 1,200 go on.
        for at, character in enumerate(self._text[:-1]):
            if self._text[at + 1].isspace() and self._ends_here(character, at + 1):
                return at + 1
        return None

    def _ends_here(self, mark: str, length: int) -> bool:
        if mark in _STOPS:
            least = LATER_CLAUSE if self._given else FIRST_CLAUSE
            return length >= least and not _ABBREVIATION.search(self._text[:length])
        return mark in _PAUSES and length >= (
            LONG_CLAUSE if self._given else FIRST_CLAUSE
        )
