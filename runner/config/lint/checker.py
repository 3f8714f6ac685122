"""One check of many files: read once, checked, and only what was selected kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from runner.config.lint.results import CheckedFile, UnreadableFile
from runner.config.loader import check_reading
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from runner.config.diagnostics import Diagnostic
    from runner.config.files import ParsedFile
    from runner.config.lint.selection import Selection
    from runner.config.model import Kinds

# Shape of a tool of a kind that is not built in.
_UNKNOWN_KIND = {"VA203", "VA210"}


class CheckSuite(Protocol):
    """Checks a file of scenarios and returns its findings."""

    def __call__(
        self, reading: ParsedFile, *, variables: Mapping[str, str], must_run: bool
    ) -> list[Diagnostic]: ...


def _no_suites(
    reading: ParsedFile, *, variables: Mapping[str, str], must_run: bool
) -> list[Diagnostic]:
    raise TypeError(f"this checker takes agent files, not '{reading.path}'")


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks what was read. Of `environment` only the names matter.

    With `must_run`, what a run would miss in the environment is an error. `added_kinds`
    loads the tool kinds of plugins; `check_suite` checks a file of scenarios.
    """

    selection: Selection
    environment: Mapping[str, str]
    variables: Mapping[str, str]
    must_run: bool = False
    # Handed in, since tools and scenarios are packages above this one.
    added_kinds: Callable[[], Kinds] = dict
    check_suite: CheckSuite = _no_suites
    # Returns the environment of the files in a folder; default: `environment`.
    environment_of: Callable[[Path], Mapping[str, str]] | None = None

    def check(
        self, readings: Iterable[ParsedFile | UnreadableFile]
    ) -> Iterator[CheckedFile | UnreadableFile]:
        """Yields each file with the findings that count, as soon as it is checked.

        Raises `UsageError` at the end when no file declares a variable that was given.
        """
        unknown = set(self.variables)
        for each in readings:
            if isinstance(each, UnreadableFile):
                yield each
            else:
                unknown -= _declared(each)
                yield self.check_one(each)
        if unknown:
            names = ", ".join(f"'{name}'" for name in sorted(unknown))
            raise UsageError(f"none of the files declares the variable {names}")

    def check_one(self, reading: ParsedFile) -> CheckedFile:
        """Checks one file; with the kinds of plugins only if it may need them."""
        found = self._findings(reading, None)
        # The agents that scenarios name are checked with them.
        if not reading.is_suite and any(each.rule in _UNKNOWN_KIND for each in found):
            kinds = self.added_kinds()
            if kinds:
                found = self._findings(reading, kinds)
        kept = self.selection.apply(reading.path, found)
        return CheckedFile(reading.path, reading.source, tuple(kept))

    def _findings(self, reading: ParsedFile, kinds: Kinds | None) -> list[Diagnostic]:
        if reading.is_suite:
            return self.check_suite(
                reading, variables=self.variables, must_run=self.must_run
            )
        declared = _declared(reading)
        environment = self.environment
        if self.environment_of is not None:
            environment = self.environment_of(reading.path.parent)
        return check_reading(
            reading,
            environment=environment,
            variables={
                name: value
                for name, value in self.variables.items()
                if name in declared
            },
            kinds=kinds,
            must_run=self.must_run,
        )


def _declared(reading: ParsedFile) -> set[Any]:
    value = reading.document.value if reading.document is not None else None
    if reading.is_suite:  # it sets variables, and declares none
        return set()
    declared = value.get("variables") if isinstance(value, dict) else None
    return set(declared) if isinstance(declared, dict) else set()
