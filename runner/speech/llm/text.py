"""Text between model and speech: clauses and spoken numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# The delay of the first audio is what the caller notices, so the first clause may be
# short; later ones are whole sentences, which are more natural to hear.
FIRST_CLAUSE = 10  # minimum characters
LATER_CLAUSE = 20
LONG_CLAUSE = 70  # from this length on a comma ends a clause
_STOPS = ".!?"
_PAUSES = ",;:"
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|st|vs|e\.g|i\.e|[a-z])\.$", re.I)


class ClauseSplitter:
    """Splits streamed text into clauses that can be spoken.

    The clauses have no surrounding white space; joined with single spaces they are the
    text.
    """

    def __init__(self) -> None:
        self._text = ""
        self._given = 0

    def feed(self, piece: str) -> Iterator[str]:
        """Adds a piece; yields the clauses that it completes."""
        self._text += piece
        while (end := self._boundary()) is not None:
            clause = self._text[:end].strip()
            self._text = self._text[end:]
            if clause:
                self._given += 1
                yield clause

    def finish(self) -> Iterator[str]:
        """Yields the rest at the end of the text."""
        rest, self._text = self._text.strip(), ""
        if rest:
            self._given += 1
            yield rest

    def _boundary(self) -> int | None:
        # Only a mark followed by white space ends a clause, not the one in 3.5 or 1,200
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


_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")

_UNIT_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
)
_UNIT_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {
    **{word: value for value, word in enumerate(_UNIT_WORDS.split())},
    **{word: value for value, word in enumerate(_UNIT_ORDINALS.split(), 1)},
}
_TENS = {
    **{word: 10 * value for value, word in enumerate(_TEN_WORDS.split(), 2)},
    **{f"{w[:-1]}ieth": 10 * value for value, w in enumerate(_TEN_WORDS.split(), 2)},
    "fourty": 40,
}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_AMOUNTS = {"couple": "2", "dozen": "12"}
_REPEATS = {"double": 2, "triple": 3}
# Zero only next to other digits: "four oh two", not "oh, hello".
_ZEROS = {"o", "oh"}


def spoken_tokens(text: str) -> list[str]:
    """Returns the words of `text` in lower case, numbers as digits.

    "twelve", "12", "1,200" and "double four" become "12", "12", "1200" and "4", "4".
    """
    # Numbers said separately stay separate: "twelve thirty four" is 12 and 34. Only the
    # tool's parameter shows if they belong together (`digit_runs`).
    return list(_repeat(_read_zeros(list(_read_numbers(_split(text))))))


def digit_runs(tokens: list[str]) -> frozenset[str]:
    """Returns every number that adjacent numbers of `tokens` can form together."""
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
    # NFKC: full-width and superscript digits become digits.
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
    """Returns the number at index `at` and its number of words, 0 if none."""

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
        "0" if token in _ZEROS and _is_next_to_digits(tokens, at) else token
        for at, token in enumerate(tokens)
    ]


def _is_next_to_digits(tokens: list[str], at: int) -> bool:
    neighbors = (*tokens[max(0, at - 1) : at], *tokens[at + 1 : at + 2])
    return any(token[0].isdecimal() for token in neighbors)


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
