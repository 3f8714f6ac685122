"""Which findings count: rules chosen by id, by the head of an id, or by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.checking.patterns import matches
from runner.config.spelling import nearest
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from runner.checking.settings import Settings
    from runner.config.diagnostics import Diagnostic
    from runner.config.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules that count (None: all), those that do not, and how hard they count."""

    selected: frozenset[str] | None = None
    ignored: frozenset[str] = frozenset()
    strict: bool = False
    folder: Path | None = None  # that the patterns of `per_file` are relative to
    per_file: tuple[tuple[str, frozenset[str]], ...] = ()

    def apply(self, path: Path, findings: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Return the findings of a file that count; strictly, warnings as errors."""
        ignored = self.ignored
        if self.per_file:
            shown = relative_to(path, self.folder)
            for pattern, rules in self.per_file:
                if matches(shown, pattern):
                    ignored |= rules
        return [
            self._promoted(found)
            for found in findings
            if (self.selected is None or found.rule in self.selected)
            and found.rule not in ignored
        ]

    def _promoted(self, found: Diagnostic) -> Diagnostic:
        if found.is_error or not self.strict:
            return found
        return replace(found, severity="error")


def build_selection(settings: Settings) -> Selection:
    """Return what the settings choose; raises `UsageError` for unknown rules."""
    if not (settings.select or settings.ignore or settings.per_file_ignores):
        return Selection(strict=settings.strict)
    return Selection(
        _chosen(settings.select) if settings.select else None,
        _chosen(settings.ignore),
        settings.strict,
        settings.folder,
        tuple((each, _chosen(s)) for each, s in settings.per_file_ignores.items()),
    )


def relative_to(path: Path, folder: Path | None) -> str:
    """Spell a path with `/` from a folder, in full when it lies elsewhere."""
    full = path.absolute()
    if folder is not None and full.is_relative_to(folder.absolute()):
        full = full.relative_to(folder.absolute())
    return full.as_posix()


def find_rules(selector: str) -> list[Rule]:
    """Return the rules of an id, of the head of ids (`VA5`), or of a name.

    Upper and lower case are the same. Raises `UsageError` when there is none.
    """
    from runner.checking.catalogue import all_rules

    rules = all_rules()
    wanted = selector.strip()
    found = [each for each in rules.values() if each.name == wanted.lower()]
    if not found and wanted:
        head = wanted.upper()
        found = [each for each in rules.values() if each.id.startswith(head)]
    if not found:
        raise UsageError(f"there is no rule '{wanted}'", hint=_nearest(wanted, rules))
    return found


def _nearest(wanted: str, rules: Mapping[str, Rule]) -> str:
    known = {each.id.lower(): each.id for each in rules.values()}
    known |= {each.name: each.name for each in rules.values()}
    guess = nearest(wanted.lower(), known)
    if guess:
        return f"did you mean {known[guess]}?"
    return "vagent validate --rules lists them"


def _chosen(selectors: Iterable[str]) -> frozenset[str]:
    return frozenset(rule.id for each in selectors for rule in find_rules(each))
