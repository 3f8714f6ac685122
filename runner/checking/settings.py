"""The settings of checks, from `vagent.toml` or `pyproject.toml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cli.reports import FORMATS
from runner.config.settings import find_table, read_flag
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project can settle for all its checks; the command line goes before it.

    `exclude` and the patterns of `per_file_ignores` are relative to `folder`.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    strict: bool = False
    format: str = "auto"
    exclude: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folder: Path = Path()


def load_settings(start: Path) -> Settings:
    """Return the settings of checks; raises like `find_table`, and for wrong values."""
    found = find_table(start)
    path, table = found.path, found.values
    if path is None:
        return Settings(folder=start.absolute())
    return Settings(
        select=_rules(path, "select", table.get("select", [])),
        ignore=_rules(path, "ignore", table.get("ignore", [])),
        strict=read_flag(path, "strict", table.get("strict", False)),
        format=_format(path, table.get("format", "auto")),
        exclude=_texts(path, "exclude", table.get("exclude", [])),
        per_file_ignores=_table(path, table.get("per-file-ignores", {})),
        folder=path.parent,
    )


def _texts(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise UsageError(f"{path}: `{key}` is a list of texts, not {value!r}")


def _rules(path: Path, key: str, value: Any) -> tuple[str, ...]:
    from runner.config.lint.selection import find_rules

    selectors = _texts(path, key, value)
    for each in selectors:
        try:
            find_rules(each)
        except UsageError as error:
            message = f"{path}: `{key}`: {error.message}"
            raise UsageError(message, hint=error.hint) from None
    return selectors


def _format(path: Path, value: Any) -> str:
    if value == "auto" or (isinstance(value, str) and value in FORMATS):
        return str(value)
    names = ", ".join(("auto", *FORMATS))
    raise UsageError(f"{path}: there is no `format` {value!r}", hint=f"one of {names}")


def _table(path: Path, value: Any) -> dict[str, tuple[str, ...]]:
    key = "per-file-ignores"
    if not isinstance(value, dict):
        raise UsageError(f"{path}: `{key}` is a table of patterns, not {value!r}")
    return {each: _rules(path, f"{key}.{each}", value[each]) for each in value}
