"""Settings of a check, from `vagent.toml` or `[tool.vagent]` of `pyproject.toml`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.checking.reports import FORMATS
from runner.errors import FileUnreadable, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OWN_FILE = "vagent.toml"
_SHARED_FILE = "pyproject.toml"


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
    """Return the settings nearest to a folder: its own, or of a folder above it.

    The search ends at the root of a repository, and takes the first file that has
    settings. Raises `UsageError` for wrong ones and `FileUnreadable`.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        own, shared = folder / _OWN_FILE, folder / _SHARED_FILE
        if own.is_file():
            return _read_settings(own, _parse(own, _read(own)))
        if shared.is_file():
            data = _read(shared)
            # tomllib costs 5 ms, and most projects' files say nothing about us.
            if b"vagent" in data:
                tool = _parse(shared, data).get("tool")
                table = tool.get("vagent") if isinstance(tool, dict) else None
                if table is not None:
                    return _read_settings(shared, table)
        if (folder / ".git").exists():
            break
    return Settings(folder=start)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileUnreadable(f"{path} cannot be read: {reason}") from error


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:  # of its syntax, or no UTF-8
        raise UsageError(f"{path} is no TOML: {error}") from error


def _read_settings(path: Path, table: Any) -> Settings:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: `tool.vagent` is no table")
    known = {each.name.replace("_", "-") for each in fields(Settings)} - {"folder"}
    for key in table:
        if key not in known:
            raise UsageError(
                f"{path}: there is no setting `{key}`", hint=_hint(key, known)
            )
    return Settings(
        select=_rules(path, "select", table.get("select", [])),
        ignore=_rules(path, "ignore", table.get("ignore", [])),
        strict=_flag(path, "strict", table.get("strict", False)),
        format=_format(path, table.get("format", "auto")),
        exclude=_texts(path, "exclude", table.get("exclude", [])),
        per_file_ignores=_table(path, table.get("per-file-ignores", {})),
        folder=path.parent,
    )


def _hint(key: str, known: set[str]) -> str:
    from difflib import get_close_matches

    guess = get_close_matches(key.lower().replace("_", "-"), known, n=1)
    if guess:
        return f"did you mean `{guess[0]}`?"
    return f"the settings are: {', '.join(sorted(known))}"


def _texts(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise UsageError(f"{path}: `{key}` is a list of texts, not {value!r}")


def _rules(path: Path, key: str, value: Any) -> tuple[str, ...]:
    from runner.checking.selection import find_rules

    selectors = _texts(path, key, value)
    for each in selectors:
        try:
            find_rules(each)
        except UsageError as error:
            message = f"{path}: `{key}`: {error.message}"
            raise UsageError(message, hint=error.hint) from None
    return selectors


def _flag(path: Path, key: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise UsageError(f"{path}: `{key}` is true or false, not {value!r}")


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
