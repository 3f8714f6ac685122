"""Which findings count: rules chosen by id, by the head of an id, or by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from runner.config.settings import find_table, read_flag
from runner.config.spelling import nearest
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.context import Rule

# All rules by id. A function, so that the rules of scenario files are loaded only if a
# selector needs them.
LoadRules: TypeAlias = "Callable[[], Mapping[str, Rule]]"


# What a call would miss on this machine (a value of the environment or of a variable, a
# plugin), which continuous integration need not have.
OF_THE_MACHINE = {"VA302", "VA305", "VA608"}


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules that count (None: all), those that do not, and how hard they count."""

    selected: frozenset[str] | None = None
    ignored: frozenset[str] = frozenset()
    strict: bool = False
    folder: Path | None = None  # that the patterns of `per_file` are relative to
    per_file: tuple[tuple[str, frozenset[str]], ...] = ()

    def apply(self, path: Path, findings: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Returns the findings of a file that count; strictly, warnings as errors.

        Findings about this machine stay warnings: `--env` makes them errors.
        """
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
        if found.is_error or not self.strict or found.rule in OF_THE_MACHINE:
            return found
        return replace(found, severity="error")


def build_selection(settings: Settings, all_rules: LoadRules) -> Selection:
    """Returns the selection of the settings; raises `UsageError` for unknown rules."""
    if not (settings.select or settings.ignore or settings.per_file_ignores):
        return Selection(strict=settings.strict)
    return Selection(
        _chosen(settings.select, all_rules) if settings.select else None,
        _chosen(settings.ignore, all_rules),
        settings.strict,
        settings.folder,
        tuple(
            (each, _chosen(s, all_rules))
            for each, s in settings.per_file_ignores.items()
        ),
    )


def relative_to(path: Path, folder: Path | None) -> str:
    """Returns a path with `/`, relative to a folder if it is below it, else in full."""
    full = path.absolute()
    if folder is not None and full.is_relative_to(folder.absolute()):
        full = full.relative_to(folder.absolute())
    return full.as_posix()


def find_rules(selector: str, all_rules: LoadRules) -> list[Rule]:
    """Returns the rules of an id, of the head of ids (`VA5`), or of a name.

    Upper and lower case are the same. Raises `UsageError` when there is none.
    """

    rules = all_rules()
    wanted = selector.strip()
    found = [each for each in rules.values() if each.name == wanted.lower()]
    if not found and wanted:
        head = wanted.upper()
        found = [each for each in rules.values() if each.id.startswith(head)]
    if not found:
        raise UsageError(f"unknown rule '{wanted}'", hint=_nearest(wanted, rules))
    return found


def _nearest(wanted: str, rules: Mapping[str, Rule]) -> str:
    known = {each.id.lower(): each.id for each in rules.values()}
    known |= {each.name: each.name for each in rules.values()}
    guess = nearest(wanted.lower(), known)
    if guess:
        return f"did you mean {known[guess]}?"
    return "vagent validate --rules lists them"


def _chosen(selectors: Iterable[str], all_rules: LoadRules) -> frozenset[str]:
    return frozenset(
        rule.id for each in selectors for rule in find_rules(each, all_rules)
    )


# The settings of checks, from `vagent.toml` or `pyproject.toml`.


@dataclass(frozen=True, slots=True)
class Settings:
    """The lint settings of a project; the command line overrides them.

    `exclude` and the patterns of `per_file_ignores` are relative to `folder`.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    strict: bool = False
    format: str = "auto"
    exclude: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folder: Path = Path()


def load_settings(
    start: Path, all_rules: LoadRules, formats: Sequence[str]
) -> Settings:
    """Returns the settings of checks; `formats` are the known report formats.

    Raises `UsageError` for a wrong value, and the errors of `find_table`.
    """
    found = find_table(start)
    path, table = found.path, found.values
    if path is None:
        return Settings(folder=start.absolute())
    return Settings(
        select=_rules(path, "select", table.get("select", []), all_rules),
        ignore=_rules(path, "ignore", table.get("ignore", []), all_rules),
        strict=read_flag(path, "strict", table.get("strict", False)),
        format=_format(path, table.get("format", "auto"), formats),
        exclude=_texts(path, "exclude", table.get("exclude", [])),
        per_file_ignores=_table(path, table.get("per-file-ignores", {}), all_rules),
        folder=path.parent,
    )


def _texts(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise UsageError(f"{path}: `{key}` is a list of texts, not {value!r}")


def _rules(path: Path, key: str, value: Any, all_rules: LoadRules) -> tuple[str, ...]:
    selectors = _texts(path, key, value)
    for each in selectors:
        try:
            find_rules(each, all_rules)
        except UsageError as error:
            message = f"{path}: `{key}`: {error.message}"
            raise UsageError(message, hint=error.hint) from None
    return selectors


def _format(path: Path, value: Any, formats: Sequence[str]) -> str:
    if value == "auto" or (isinstance(value, str) and value in formats):
        return str(value)
    names = ", ".join(("auto", *formats))
    raise UsageError(f"{path}: there is no `format` {value!r}", hint=f"one of {names}")


def _table(path: Path, value: Any, all_rules: LoadRules) -> dict[str, tuple[str, ...]]:
    key = "per-file-ignores"
    if not isinstance(value, dict):
        raise UsageError(f"{path}: `{key}` is a table of patterns, not {value!r}")
    return {
        each: _rules(path, f"{key}.{each}", value[each], all_rules) for each in value
    }


# Path patterns of the settings (`agents/**/*.yaml`), the same on every system.


def matches(path: str, pattern: str) -> bool:
    """True if a pattern matches a path; both with `/`, relative to the same folder.

    `**` stands for any number of folders, `*` and `?` stay within one name, `[...]` is
    a set of characters. A pattern without a slash is about names at any depth, and a
    pattern that is about a folder is about all that is in it.
    """
    pattern = pattern.replace("\\", "/").removeprefix("./").rstrip("/")
    if "/" not in pattern:
        pattern = f"**/{pattern}"
    pattern = pattern.removeprefix("/")
    return re.match(_expression(pattern) + r"(?:/.*)?\Z", path, re.DOTALL) is not None


def _expression(pattern: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        step = re.compile(r"\*\*/|\*+|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL).match(
            pattern, at
        )
        assert step is not None  # the last alternative takes any character
        parts.append(_piece(step[0]))
        at = step.end()
    return "".join(parts)


def _piece(text: str) -> str:
    if text == "**/":
        return "(?:[^/]+/)*"
    if text == "**":
        return ".*"
    if set(text) == {"*"}:
        return "[^/]*"
    if text == "?":
        return "[^/]"
    if text.startswith("[") and len(text) > 2:
        inside = text[1:-1].replace("\\", r"\\").replace("[", r"\[")
        inside = re.sub(r"^\]", r"\]", inside)
        return f"(?!/)[{'^' + inside[1:] if inside.startswith('!') else inside}]"
    return re.escape(text)
