"""Results of a check: the findings of each file and their totals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from runner.config.diagnostics import printable
from runner.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.config.diagnostics import Diagnostic
    from runner.config.source import Source


_MAX_NAMES = 10  # of files in the summary


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """One file: where it is, its text as it was read, and what was found.

    The findings may also be about another file that the agent draws on, its prompt file
    for one; then their `path` is that file's.
    """

    path: Path
    source: Source = field(repr=False)  # it may hold secrets
    findings: tuple[Diagnostic, ...]

    @property
    def has_errors(self) -> bool:
        """True if one of the findings is an error."""
        return any(each.is_error for each in self.findings)


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file that could not be checked, and why."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The sums of a check; `hidden` of the findings are counted and not shown."""

    files: int
    errors: int
    warnings: int
    fixable: int  # by a safe fix
    unreadable: int
    hidden: int = 0
    passed_over: tuple[str, ...] = ()  # YAML files that are not checked

    def __str__(self) -> str:
        parts = [
            counted(self.files, "file") + " checked",
            counted(self.errors, "error"),
            counted(self.warnings, "warning"),
        ]
        if self.fixable:
            parts.append(f"{self.fixable} fixable with --fix")
        if self.unreadable:
            parts.append(counted(self.unreadable, "file") + " unreadable")
        if self.hidden:
            parts.append(f"{self.hidden} not shown")
        text = ", ".join(parts)
        if self.passed_over:
            names = [printable(each) for each in self.passed_over]
            rest = len(names) - _MAX_NAMES
            more = [f"{rest} more"] if rest > 0 else []
            text += "\npassed over, since they do not look like agent or scenario "
            text += f"files: {', '.join([*names[:_MAX_NAMES], *more])}"
        return text


@dataclass(frozen=True, slots=True)
class Results:
    """All that a report says. `root` is the folder that relative paths are from."""

    root: PurePath
    files: tuple[CheckedFile, ...]
    unreadable: tuple[UnreadableFile, ...]
    summary: Summary

    @property
    def findings(self) -> list[Diagnostic]:
        """The findings of all files, in the order of the files."""
        return [found for file in self.files for found in file.findings]

    def shortened(self, most: int | None, *, errors_only: bool = False) -> Results:
        """Returns these results with fewer findings to show; the sums stay."""
        kept: list[CheckedFile] = []
        left = len(self.findings) if most is None else most
        for file in self.files:
            found = [each for each in file.findings if each.is_error or not errors_only]
            kept.append(replace(file, findings=tuple(found[:left])))
            left -= len(kept[-1].findings)
        hidden = len(self.findings) - sum(len(file.findings) for file in kept)
        summary = replace(self.summary, hidden=hidden)
        return replace(self, files=tuple(kept), summary=summary)


def gather(
    root: PurePath,
    files: Iterable[CheckedFile],
    unreadable: Iterable[UnreadableFile],
    passed_over: Iterable[PurePath] = (),
) -> Results:
    """Combines results and counts them."""
    all_files, all_unreadable = tuple(files), tuple(unreadable)
    findings = [found for file in all_files for found in file.findings]
    errors = sum(each.is_error for each in findings)
    summary = Summary(
        files=len(all_files),
        errors=errors,
        warnings=len(findings) - errors,
        fixable=sum(
            _is_fixable(file, each) for file in all_files for each in file.findings
        ),
        unreadable=len(all_unreadable),
        passed_over=tuple(each.as_posix() for each in passed_over),
    )
    return Results(root, all_files, all_unreadable, summary)


def _is_fixable(file: CheckedFile, found: Diagnostic) -> bool:
    """True if `--fix` fixes it: the fix is safe and in the file itself."""
    is_own = found.path == file.source.path
    return is_own and found.fix is not None and found.fix.is_safe
