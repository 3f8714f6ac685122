"""Which name a misspelt one was meant to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the wire and neighbouring tools call our fields; no spelling leads from one to
# the other.
_ELSEWHERE = {
    "system_prompt": "prompt",
    "instructions": "prompt",
    "first_message": "greeting",
    "welcome_message": "greeting",
    "keyterms": "key_terms",
    "language": "languages",
    "language_codes": "languages",
    "transcription_mode": "transcription",
    "transcription_prompt": "transcription",
    "interrupt_response": "interruptible",
    "function": "python",
    "timeout_seconds": "timeout",
    "arguments": "parameters",
    "endpoint": "url",
}
# Below this likeness (difflib's ratio) a guess confuses more than it helps.
_LIKENESS = 0.7
# One slip makes any other word of a shorter one.
_SHORTEST = 3


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` looks like, None when none does."""
    choices = list(known)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    for guess in (plain, _ELSEWHERE.get(plain)):
        if guess in choices:
            return guess
    if len(plain) >= _SHORTEST:
        near = [each for each in choices if _is_one_slip(plain, each)]
        if len(near) == 1:
            return near[0]
    from difflib import get_close_matches  # 3 ms to import, for misspelt files only

    # A long key cannot be near, and difflib's time grows with its length squared.
    found = get_close_matches(plain[:80], choices, n=1, cutoff=_LIKENESS)
    return found[0] if found else None


def _is_one_slip(name: str, known: str) -> bool:
    """Whether one letter is left out, added, wrong, or swapped with its neighbour."""
    start = 0
    while name[start : start + 1] == known[start : start + 1] and start < len(name):
        start += 1
    one, other = name[start:], known[start:]
    swapped = one[1::-1] + one[2:]
    return (
        one[1:] == other
        or one == other[1:]
        or one[1:] == other[1:]
        or (len(one) > 1 and swapped == other)
    )
