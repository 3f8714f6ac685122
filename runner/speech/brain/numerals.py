"""Numbers as people say them and as recognizers write them, brought to digits.

"twelve thirty four", "one two three four", "12-34" and "1,234" must all lead to 1234:
a caller never says a number the way a tool wants it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

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
