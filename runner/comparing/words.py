"""Two texts word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

_WORD = re.compile(r"\s+|[^\s]+")


@dataclass(frozen=True, slots=True)
class DiffSegment:
    """Words that both texts have, or only the old or the new one."""

    kind: Literal["same", "old", "new"]
    text: str


def compare_words(old: str, new: str) -> Sequence[DiffSegment]:
    """Return how the new text comes from the old one, in as few pieces as can be read.

    Changes with nothing but white space between them are one.
    """
    before, after = _WORD.findall(old), _WORD.findall(new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    pieces: list[tuple[str, str]] = []  # of the old text and of the new one
    for _, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        piece = "".join(before[old_from:old_to]), "".join(after[new_from:new_to])
        is_change = piece[0] != piece[1]
        if is_change and len(pieces) > 1 and _is_gap(*pieces[-2:]):
            (first, second), (gap, _) = pieces[-2:]
            pieces[-2:] = [(first + gap + piece[0], second + gap + piece[1])]
        else:
            pieces.append(piece)
    return [run for piece in pieces for run in _runs(*piece)]


def _is_gap(before: tuple[str, str], gap: tuple[str, str]) -> bool:
    return before[0] != before[1] and gap[0] == gap[1] and gap[0].isspace()


def _runs(old: str, new: str) -> Iterator[DiffSegment]:
    if old == new:
        yield DiffSegment("same", old)
        return
    if old:
        yield DiffSegment("old", old)
    if new:
        yield DiffSegment("new", new)


def shorten_runs(
    runs: Sequence[DiffSegment], context: int = 60
) -> Sequence[DiffSegment]:
    """Leave of what is the same only so many characters beside each difference."""
    shown: list[DiffSegment] = []
    for number, run in enumerate(runs):
        if run.kind != "same" or len(run.text) <= 2 * context + 1:
            shown.append(run)
            continue
        head = run.text[:context] if number else ""
        tail = run.text[-context:] if number < len(runs) - 1 else ""
        shown.append(DiffSegment("same", f"{head}…{tail}"))
    return shown
