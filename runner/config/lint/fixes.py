"""Applies the fixes of findings to texts and files.

Pure: a text and a way to check it go in, the new text and what was done come out.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from runner.config.credentials import find_credentials, mask_secrets
from runner.config.source import read_content
from runner.errors import FileUnreadable
from runner.safe_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.config.diagnostics import Diagnostic, Edit


Check: TypeAlias = "Callable[[str], Sequence[Diagnostic]]"
Choice: TypeAlias = "Callable[[Diagnostic], bool]"

# A fix may reveal what the next round fixes. No file needs this many rounds, and
# one that was made to shall not take minutes.
_MAX_CHECKS = 400
# Titles are imperatives; reports of made fixes use the past tense.
_PAST = {"take": "took", "put": "put", "write": "wrote", "quote": "quoted"}


@dataclass(frozen=True, slots=True)
class Change:
    """One fix that was made, or was not: `line` is that of the text before any."""

    line: int
    rule: str
    title: str

    @property
    def done(self) -> str:
        """The fix in the past tense: "replaced `voise` by `voice` [VA203]"."""
        verb, space, rest = self.title.partition(" ")
        past = _PAST.get(verb) or verb + ("d" if verb.endswith("e") else "ed")
        return f"{past}{space}{rest} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class FixResult:
    """The result of fixing a text; `findings` are those about the new text.

    `refused` are fixes that were not made because the file would have had more errors,
    or would not have been YAML any more.
    """

    text: str
    changes: tuple[Change, ...]
    refused: tuple[Change, ...]
    findings: tuple[Diagnostic, ...]


def apply_fixes(text: str, check: Check, *, allows: Choice) -> FixResult:
    """Makes the fixes of all findings that `allows` lets through, until none is left.

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
    """Returns the text with edits made that do not overlap."""
    for each in sorted(edits, reverse=True):
        text = text[: each.start] + each.text + text[each.end :]
    return text


_Damage: TypeAlias = tuple[int, int, int]
_MAX_CHAIN = 3  # fixes of which each reveals what the next one fixes


class _Work:
    """A text on its way: accepts fixes that leave it with fewer findings."""

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
        """True if the text was checked more often than any file needs."""
        return self._checks >= _MAX_CHECKS

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
        """Applies these fixes if each fixed error is gone and no new error appears."""
        fixed = sum(each.is_error for each in batch)
        unread, errors, total = _damage(self.findings)
        return self._accept(batch, (unread, errors - fixed, total))

    def accept(self, found: Diagnostic) -> bool:
        """Makes one fix if the text is better for it, or for it and what it reveals.

        `language: en-US` becomes `languages: en-US`, and then `languages: [en]`.
        """
        before = _damage(self.findings)
        if self._accept([found], before):
            return True
        kept = (self.text, self.findings, [*self.changes], [*self._origins])
        seen = {_without_place(each) for each in self.findings}
        batch = [found]
        for _ in range(_MAX_CHAIN):
            if not self._accept(batch, before, must_improve=False):
                break
            if _damage(self.findings) < before:
                return True
            revealed = (x for x in self.candidates() if _without_place(x) not in seen)
            batch = _compatible([*revealed])
            if not batch:
                break
        self.text, self.findings, self.changes, self._origins = kept
        return False

    def _accept(
        self, batch: Sequence[Diagnostic], most: _Damage, *, must_improve: bool = True
    ) -> bool:
        if self.is_tired:
            return False
        self._checks += 1
        edits = _edits(batch)
        text = apply_edits(self.text, edits)
        findings = self._check(text)
        damage = _damage(findings)
        if damage > most or (must_improve and damage >= _damage(self.findings)):
            return False
        self.changes += [self.describe(each) for each in batch]
        for each in sorted(edits, reverse=True):
            self._trace(each)
        self.text, self.findings = text, findings
        return True

    def describe(self, found: Diagnostic) -> Change:
        """Says what the fix of a finding does, and where in the first text."""
        assert found.fix is not None
        at = self.text.count("\n", 0, min(each.start for each in found.fix.edits))
        return Change(self._origins[at], found.rule, found.fix.title)

    def _trace(self, edit: Edit) -> None:
        """Keeps track of the lines that an edit adds or takes away."""
        first = self.text.count("\n", 0, edit.start)
        removed = self.text.count("\n", edit.start, edit.end)
        added = edit.text.count("\n")
        origin = self._origins[first]
        self._origins[first + 1 : first + 1 + removed] = [origin] * added


def _without_place(found: Diagnostic) -> tuple[str, str]:
    return found.rule, found.message


def _edits(batch: Iterable[Diagnostic]) -> list[Edit]:
    return [edit for each in batch if each.fix for edit in each.fix.edits]


def _compatible(batch: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Leaves out what overlaps with an earlier fix."""
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


def _damage(findings: Sequence[Diagnostic]) -> _Damage:
    """Returns the number of syntax errors, of all errors and of all findings of a text.

    In this order, since a text that can be read shows the errors further down.
    """
    errors = [each for each in findings if each.is_error]
    unread = sum(each.rule.startswith("VA1") for each in errors)
    return unread, len(errors), len(findings)


# Fixes in files: shown as a diff or written back.


@dataclass(frozen=True, slots=True)
class FixedFile:
    """The fixed content of one file; nothing is written yet.

    `shown` is the path as the person gave it, `before` and `after` are bytes as they
    lie on the disk.
    """

    shown: str
    before: bytes
    after: bytes
    mending: FixResult

    @property
    def is_changed(self) -> bool:
        """True if a fix was made."""
        return self.before != self.after

    def difference(self) -> bytes:
        """Returns the change as a unified diff, with the line ends of the file.

        Keys that stand in the file in clear are masked in it: it may be a log's.
        """
        import difflib  # for --diff only

        name = self.shown.encode("utf-8", "surrogateescape")
        lines = difflib.diff_bytes(
            difflib.unified_diff, _lines(self.before), _lines(self.after), name, name
        )
        written = b"".join(
            each if each.endswith(b"\n") else each + b"\n\\ No newline at end of file\n"
            for each in lines
        )
        return _masked(written)


def _masked(written: bytes) -> bytes:
    """Mask keys of published formats; other bytes stay as they are."""
    text = written.decode("utf-8", "surrogateescape")
    secrets = [text[slice(*each.span)] for each in find_credentials(text)]
    return mask_secrets(text, secrets).encode("utf-8", "surrogateescape")


def fix_content(
    data: bytes,
    shown: str,
    check: Callable[[bytes], Sequence[Diagnostic]],
    *,
    unsafe: bool = False,
    chosen: Choice | None = None,
) -> FixedFile:
    """Makes the fixes in the content of a file that is shown as `shown`.

    `check` returns the sorted findings about a content; only those that `chosen` lets
    through are fixed, and only in this file, not in those it refers to. A byte order
    mark, line ends and a missing one at the end stay as they are.
    """
    mark = BOM_UTF8 if data.startswith(BOM_UTF8) else b""
    try:
        text = data[len(mark) :].decode()
    except UnicodeDecodeError:
        findings = tuple(
            check(data)
        )  # the finding gives the reason; nothing can be fixed
        return FixedFile(shown, data, data, FixResult("", (), (), findings))

    def allows(found: Diagnostic) -> bool:
        return (
            found.path == shown
            and found.fix is not None
            and (unsafe or found.fix.is_safe)
            and (chosen is None or chosen(found))
        )

    done = apply_fixes(text, lambda new: check(mark + new.encode()), allows=allows)
    return FixedFile(shown, data, mark + done.text.encode(), done)


def write_back(path: Path, done: FixedFile) -> None:
    """Puts the new content in the place of the old one, at once or not at all.

    Raises `FileUnreadable` when the file is not what it was, cannot be written, or is a
    symbolic link: the file that it points to may belong to another project.
    """
    if not done.is_changed:
        return
    if read_content(path) != done.before:
        raise FileUnreadable(
            f"{path} has changed meanwhile and was left alone",
            hint="run it again",
        )
    try:
        replace_file(path, done.after)
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "written", error) from error


def _lines(data: bytes) -> list[bytes]:
    """Splits at line feeds only, as diff and patch do."""
    lines = [each + b"\n" for each in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
