"""Cuts a growing text into clauses that a voice can already speak."""
# MERGED: "Takes out of a model's text what cannot be spoken."
# MERGED: 'Numbers as people say them and as recognizers write them, brought to digits.\n\n"twelve thirty four", "one two three four", "12-34" and "1,234" must all lead to 1234:\na caller never says a number the way a tool wants it.'

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# The first sound decides how quick an agent feels, so the first clause may be short;
# later ones are whole sentences, which a voice reads better.
FIRST_CLAUSE = 10  # characters, at least
LATER_CLAUSE = 20
LONG_CLAUSE = 70  # from here on a comma is enough
_STOPS = ".!?"
_PAUSES = ",;:"
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|st|vs|e\.g|i\.e|[a-z])\.$", re.I)


class ClauseSplitter:
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


_OPEN, _CLOSE = "<think>", "</think>"
_SILENT = str.maketrans("", "", "*`#|")


class MarkupFilter:
    """Removes markdown's signs and a reasoning model's thoughts, piece by piece."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thinking = False

    def feed(self, piece: str) -> str:
        """Take the next piece; return what can be spoken of what is there."""
        self._held += piece
        spoken = []
        while True:
            mark = _CLOSE if self._is_thinking else _OPEN
            before, found, rest = self._held.partition(mark)
            if not found:
                break
            if not self._is_thinking:
                spoken.append(before)
            self._held = rest
            self._is_thinking = not self._is_thinking
        keep = _begun(self._held, mark)
        if not self._is_thinking:
            spoken.append(self._held[: len(self._held) - keep])
        self._held = self._held[len(self._held) - keep :]
        return "".join(spoken).translate(_SILENT)

    def finish(self) -> str:
        """Return what was held back; the text is over."""
        rest, self._held = self._held, ""
        return "" if self._is_thinking else rest.translate(_SILENT)


def _begun(text: str, mark: str) -> int:
    """Return how many characters at the end of `text` may be the mark's beginning."""
    for length in range(min(len(text), len(mark) - 1), 0, -1):
        if mark.startswith(text[-length:]):
            return length
    return 0


_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")

_UNITS = {
    word: value
    for value, words in enumerate(
        (
            ("zero",),
            ("one", "first"),
            ("two", "second"),
            ("three", "third"),
            ("four", "fourth"),
            ("five", "fifth"),
            ("six", "sixth"),
            ("seven", "seventh"),
            ("eight", "eighth"),
            ("nine", "ninth"),
            ("ten", "tenth"),
            ("eleven", "eleventh"),
            ("twelve", "twelfth"),
            ("thirteen", "thirteenth"),
            ("fourteen", "fourteenth"),
            ("fifteen", "fifteenth"),
            ("sixteen", "sixteenth"),
            ("seventeen", "seventeenth"),
            ("eighteen", "eighteenth"),
            ("nineteen", "nineteenth"),
        )
    )
    for word in words
}
_TENS = {
    word: value
    for value, words in (
        (20, ("twenty", "twentieth")),
        (30, ("thirty", "thirtieth")),
        (40, ("forty", "fourty", "fortieth")),
        (50, ("fifty", "fiftieth")),
        (60, ("sixty", "sixtieth")),
        (70, ("seventy", "seventieth")),
        (80, ("eighty", "eightieth")),
        (90, ("ninety", "ninetieth")),
    )
    for word in words
}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_AMOUNTS = {"couple": "2", "dozen": "12"}
_REPEATS = {"double": 2, "triple": 3}
# Said for zero, but only among other digits: "four oh two", not "oh, hello".
_ZEROS = {"o", "oh"}


def spoken_tokens(text: str) -> list[str]:
    """Return the words of `text` in lower case, its numbers as digits.

    Numbers that were said apart stay apart: "twelve thirty four" is 12 and 34, since
    only the reader of the value can know that they belong together.
    """
    return list(_repeat(_read_zeros(list(_read_numbers(_split(text))))))


def digit_runs(tokens: list[str]) -> frozenset[str]:
    """Return every number that neighbouring numbers of `tokens` can make together."""
    runs: set[str] = set()
    for start, token in enumerate(tokens):
        joined = ""
        for follower in tokens[start:]:
            if not follower[0].isdecimal():
                break
            joined += re.sub(r"\D", "", follower)
            runs.add(joined)
        if token[0].isdecimal():
            runs.add(token)
    return frozenset(runs)


def _split(text: str) -> list[str]:
    # NFKC: full-width and raised digits are digits too.
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())
    return [t.replace(",", "") if _THOUSANDS.fullmatch(t) else t for t in tokens]


def _read_numbers(words: list[str]) -> Iterator[str]:
    at = 0
    while at < len(words):
        value, used = _number_at(words, at)
        if used:
            yield str(value)
            at += used
        else:
            yield _AMOUNTS.get(words[at], words[at])
            at += 1


def _number_at(words: list[str], at: int) -> tuple[int, int]:
    """Return the number that begins here and how many words it takes, 0 if none."""
    value, used = _below_hundred(words, at)
    if not used or value == 0:
        return value, used
    total = 0
    while (scale := _SCALES.get(_word(words, at + used))) is not None:
        used += 1
        value *= scale
        skip = _word(words, at + used) == "and"
        rest, more = _below_hundred(words, at + used + skip)
        if not more:
            continue
        used += skip + more
        if _SCALES.get(_word(words, at + used), scale) < scale:
            total, value = total + value, rest  # two thousand | five hundred
        else:
            value += rest
    return total + value, used


def _below_hundred(words: list[str], at: int) -> tuple[int, int]:
    word = _word(words, at)
    if word in _TENS:
        unit = _UNITS.get(_word(words, at + 1), 0)
        return (_TENS[word] + unit, 2) if 0 < unit < 10 else (_TENS[word], 1)
    return (_UNITS[word], 1) if word in _UNITS else (0, 0)


def _word(words: list[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _read_zeros(tokens: list[str]) -> list[str]:
    return [
        "0" if token in _ZEROS and _is_beside_digits(tokens, at) else token
        for at, token in enumerate(tokens)
    ]


def _is_beside_digits(tokens: list[str], at: int) -> bool:
    beside = (*tokens[max(0, at - 1) : at], *tokens[at + 1 : at + 2])
    return any(token[0].isdecimal() for token in beside)


def _repeat(tokens: list[str]) -> Iterator[str]:
    times = 1
    for token in tokens:
        if times > 1 and not token[0].isdecimal():
            times = 1
        if token in _REPEATS:
            times = _REPEATS[token]
            yield token
            continue
        yield from [token] * times
        times = 1
