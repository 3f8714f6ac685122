"""Texts as a voice would say them: how long that takes, and what it cannot say."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# 150 words a minute, the usual measure of unhurried English, with six characters to a
# word (the space counted) are 15 characters a second; the other alphabets come close.
# Mandarin and Japanese: 5.2 and 7.8 syllables a second (Pellegrino, Coupé, Marsico:
# Across-language perspective on speech information rate, Language 87, 2011), where a
# Chinese character is one syllable and a Japanese sentence mixes both.
_PER_SECOND = 15.0
_HAN_PER_SECOND = 5.2
_KANA_PER_SECOND = 7.8
_HAN = "[\u3400-\u9fff\uac00-\ud7a3]"  # and Hangul, a syllable each too
_KANA = "[\u3040-\u30ff]"
# Of one kind in one text. A file made to have a million would only take time.
_MOST = 100
_SPELLED = 5  # characters in the name of a digit: "seven"

# The order counts: a link of markdown holds an address, which is not found again.
_UNSPEAKABLE = (
    ("a link", r"\[[^\[\]\n]+\]\([^()\s]+\)"),
    ("an address of the web", r"(?:https?://|\bwww\.)[^\s<>\"')\]]*[\w/]"),
    ("an e-mail address", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
    ("markup", r"</?[A-Za-z][^<>\n]*>"),
    ("markdown", r"\*\*[^*\n]+\*\*|`[^`\n]+`|(?<![\w*])\*\w[^*\n]*\w\*(?![\w*])"),
    ("markdown", r"(?<!\w)__?[^\W_][^_\n]*_(?!\w)"),
    ("markdown", r"(?m:^[ \t]*(?:#{1,6}|[-*+•]) +\S)"),
    ("an emoji", "[\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff]\ufe0f?"),
)


class UnspeakableText(NamedTuple):
    """A stretch of a text that no voice can say, by offsets into it."""

    what: str
    start: int
    end: int


def find_unspeakable(text: str) -> Iterator[UnspeakableText]:
    """Yield what cannot be said as it is written, no stretch twice."""
    taken: list[UnspeakableText] = []
    for what, pattern in _UNSPEAKABLE:
        for found in islice(re.finditer(pattern, text), _MOST):
            start, end = found.span()
            if all(end <= each.start or each.end <= start for each in taken):
                taken.append(UnspeakableText(what, start, end))
    yield from sorted(taken, key=lambda each: each.start)


def estimate_seconds(text: str) -> float:
    """Return about how long a voice takes to say a text, in seconds.

    15 characters a second; Chinese, Korean and Japanese by their syllables; a digit
    counts as a word.
    """
    text = " ".join(text.split())
    han = len(re.findall(_HAN, text))
    kana = len(re.findall(_KANA, text))
    digits = sum(each.isdecimal() for each in text)
    letters = len(text) - han - kana + digits * (_SPELLED - 1)
    return letters / _PER_SECOND + han / _HAN_PER_SECOND + kana / _KANA_PER_SECOND
