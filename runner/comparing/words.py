"""Two texts word by word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

_WORD = re.compile(r"\s+|[^\s]+")


@dataclass(frozen=True, slots=True)
class Run:
    """Words that both texts have, or only the old or the new one."""

    kind: Literal["same", "old", "new"]
    text: str


def compare_words(old: str, new: str) -> Sequence[Run]:
    """Return how the new text comes from the old one; white space goes with words."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    runs: list[Run] = []
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind == "equal":
            runs.append(Run("same", "".join(before[old_from:old_to])))
            continue
        if old_to > old_from:
            runs.append(Run("old", "".join(before[old_from:old_to])))
        if new_to > new_from:
            runs.append(Run("new", "".join(after[new_from:new_to])))
    return runs


def shorten_runs(runs: Sequence[Run], context: int = 60) -> Sequence[Run]:
    """Leave of what is the same only so many characters beside each difference."""
    shown: list[Run] = []
    for number, run in enumerate(runs):
        if run.kind != "same" or len(run.text) <= 2 * context + 1:
            shown.append(run)
            continue
        head = run.text[:context] if number else ""
        tail = run.text[-context:] if number < len(runs) - 1 else ""
        shown.append(Run("same", f"{head}…{tail}"))
    return shown
