"""Which name a misspelt one was meant to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Below this likeness (difflib's ratio) a guess confuses more than it helps.
_LIKENESS = 0.7
# One slip makes any other word of a shorter one.
_SHORTEST = 3
# One slip of the fingers in so many letters leaves no doubt.
_LETTERS_PER_SLIP = 4
_LONGEST = 80  # of a name that is compared: the time grows with its square


def snake(name: str) -> str:
    """Write a name as ours are written: `maxDuration` as `max_duration`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return parted.lower().replace("-", "_").replace(" ", "_")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` looks like, None when none does."""
    choices = list(known)
    same = _same(name, choices)
    if same is not None:
        return same
    plain = snake(name)[:_LONGEST]
    if len(plain) >= _SHORTEST:
        near = [
            each
            for each in choices
            if abs(len(each) - len(plain)) <= 1 and _slips(plain, each) == 1
        ]
        if len(near) == 1:
            return near[0]
    from difflib import get_close_matches  # 3 ms to import, for misspelt files only

    found = get_close_matches(plain, choices, n=1, cutoff=_LIKENESS)
    return found[0] if found else None


def is_surely(name: str, guess: str) -> bool:
    """Whether `name` cannot mean anything but `guess`.

    That is so for another way to write it, for what others call it, and for a slip or
    two in a word that is long enough.
    """
    if _same(name, [guess]) is not None:
        return True
    plain, meant = snake(name)[:_LONGEST], snake(guess)
    return _slips(plain, meant) <= max(1, len(meant) // _LETTERS_PER_SLIP)


def _same(name: str, choices: list[str]) -> str | None:
    """Return the choice that is the same name, in other letters or in other words."""
    from runner.config.dialects import ALIASES, unit_of  # for misspelt files only

    plain = snake(name)
    base, _ = unit_of(plain)
    written = {snake(each): each for each in choices}
    for each in (plain, *ALIASES.get(plain, ()), base, *ALIASES.get(base, ())):
        if each in written:
            return written[each]
    return None


def _slips(one: str, other: str) -> int:
    """Count the letters to insert, remove, replace or swap with their neighbour.

    The optimal string alignment distance.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
