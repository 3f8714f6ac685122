"""Findings mended in a text: what their fixes change, and nothing else.

Pure: a text and a way to check it go in, the new text and what was done come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.config.diagnostics import Diagnostic, Edit

Check: TypeAlias = "Callable[[str], Sequence[Diagnostic]]"
Choice: TypeAlias = "Callable[[Diagnostic], bool]"

# A fix may bring to light what the next round mends. No file needs this many looks, and
# one that was made to shall not take minutes.
_MOST_CHECKS = 400
# Titles are imperatives; what was done is told in the past.
_PAST = {"take": "took", "put": "put", "write": "wrote", "quote": "quoted"}


@dataclass(frozen=True, slots=True)
class Change:
    """One fix that was made, or was not: `line` is that of the text before any."""

    line: int
    rule: str
    title: str

    @property
    def done(self) -> str:
        """What was done, as a past tense: "replaced `voise` by `voice` [VA203]"."""
        verb, space, rest = self.title.partition(" ")
        past = _PAST.get(verb) or verb + ("d" if verb.endswith("e") else "ed")
        return f"{past}{space}{rest} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class FixResult:
    """What became of a text: `findings` are those about the new one.

    `refused` are fixes that were not made because the file would have had more errors,
    or would not have been YAML any more.
    """

    text: str
    changes: tuple[Change, ...]
    refused: tuple[Change, ...]
    findings: tuple[Diagnostic, ...]


def apply_fixes(text: str, check: Check, *, allows: Choice) -> FixResult:
    """Make the fixes of all findings that `allows` lets through, until none is left.

    `check` returns the sorted findings about a text. Of fixes that overlap the first is
    made; the others are looked at again in the next round. What does not get through
    together is tried one by one.
    """
    work = _Work(text, check, allows)
    while not work.is_tired and (batch := work.candidates()):
        if work.accept_all(_compatible(batch)):
            continue
        if not any(work.accept(each) for each in batch):
            break
    refused = tuple(work.describe(each) for each in work.candidates())
    return FixResult(work.text, tuple(work.changes), refused, tuple(work.findings))


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with edits made that do not overlap."""
    for each in sorted(edits, reverse=True):
        text = text[: each.start] + each.text + text[each.end :]
    return text


class _Work:
    """A text on its way: accepts fixes that leave it no worse than it is."""

    def __init__(self, text: str, check: Check, allows: Choice) -> None:
        self.text = text
        self.findings = check(text)
        self.changes: list[Change] = []
        self._checks = 1
        self._check = check
        self._allows = allows
        # For each line of the text, the line of the first text that it comes from.
        self._origins = list(range(1, text.count("\n") + 2))

    @property
    def is_tired(self) -> bool:
        """Whether it has looked at the text more often than any file needs."""
        return self._checks >= _MOST_CHECKS

    def candidates(self) -> list[Diagnostic]:
        """The findings whose fix may be made and would change something."""
        return [
            each
            for each in self.findings
            if each.fix is not None
            and self._allows(each)
            and apply_edits(self.text, each.fix.edits) != self.text
        ]

    def accept_all(self, batch: Sequence[Diagnostic]) -> bool:
        """Make these fixes if each mended error is gone and no other has come."""
        mended = sum(each.is_error for each in batch)
        unread, errors = _damage(self.findings)
        return self._accept(batch, (unread, errors - mended))

    def accept(self, found: Diagnostic) -> bool:
        """Make one fix if the text is not worse for it."""
        return self._accept([found], _damage(self.findings))

    def _accept(self, batch: Sequence[Diagnostic], most: tuple[int, int]) -> bool:
        if self.is_tired:
            return False
        self._checks += 1
        edits = _edits(batch)
        text = apply_edits(self.text, edits)
        findings = self._check(text)
        if _damage(findings) > most:
            return False
        self.changes += [self.describe(each) for each in batch]
        for each in sorted(edits, reverse=True):
            self._trace(each)
        self.text, self.findings = text, findings
        return True

    def describe(self, found: Diagnostic) -> Change:
        """Say what the fix of a finding does, and where in the first text."""
        assert found.fix is not None
        at = self.text.count("\n", 0, min(each.start for each in found.fix.edits))
        return Change(self._origins[at], found.rule, found.fix.title)

    def _trace(self, edit: Edit) -> None:
        """Keep track of the lines that an edit adds or takes away."""
        first = self.text.count("\n", 0, edit.start)
        removed = self.text.count("\n", edit.start, edit.end)
        added = edit.text.count("\n")
        origin = self._origins[first]
        self._origins[first + 1 : first + 1 + removed] = [origin] * added


def _edits(batch: Iterable[Diagnostic]) -> list[Edit]:
    return [edit for each in batch if each.fix for edit in each.fix.edits]


def _compatible(batch: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Leave out what overlaps with an earlier fix."""
    chosen: list[Diagnostic] = []
    taken: list[Edit] = []
    for each in batch:
        edits = _edits([each])
        if not any(_overlap(new, old) for new in edits for old in taken):
            chosen.append(each)
            taken += edits
    return chosen


def _overlap(one: Edit, other: Edit) -> bool:
    # Two insertions at the same place have no order.
    return one.start == other.start or (one.start < other.end and other.start < one.end)


def _damage(findings: Iterable[Diagnostic]) -> tuple[int, int]:
    """How broken a text is: what keeps it from being read, then all errors.

    In this order, since a text that can be read shows the errors further down.
    """
    errors = [each for each in findings if each.is_error]
    return sum(each.rule.startswith("VA1") for each in errors), len(errors)
