"""Project settings: `vagent.toml`, or `[tool.vagent]` of `pyproject.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import FileUnreadable, UsageError

_OWN_FILE = "vagent.toml"
_SHARED_FILE = "pyproject.toml"
# The folder for `record = true`, relative to the settings file.
RECORDINGS_FOLDER = "recordings"

KEYS = frozenset(
    {
        # of validate
        "select",
        "ignore",
        "strict",
        "format",
        "exclude",
        "per-file-ignores",
        # of calls
        "record",
        "record-audio",
        "redact",
    }
)


@dataclass(frozen=True, slots=True)
class SettingsTable:
    """The settings of the file `path`; paths in them are relative to its folder.

    Without a file, `values` is empty and `path` is None.
    """

    values: dict[str, Any]
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Project settings of calls; command line options override them."""

    record: Path | None = None
    record_audio: bool | None = None
    redact: bool = False


def find_table(start: Path) -> SettingsTable:
    """Returns the settings of a folder, or of the nearest folder above that has some.

    The search ends at the root of a repository. Raises `UsageError` for unknown
    settings and `FileUnreadable`.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        own, shared = folder / _OWN_FILE, folder / _SHARED_FILE
        if own.is_file():
            return _checked(own, _parse(own, _read(own)))
        if shared.is_file():
            data = _read(shared)
            # tomllib takes 5 ms to import, and most projects have no such settings.
            if b"vagent" in data:
                tool = _parse(shared, data).get("tool")
                table = tool.get("vagent") if isinstance(tool, dict) else None
                if table is not None:
                    return _checked(shared, table)
        if (folder / ".git").exists():
            break
    return SettingsTable({})


def load_call_settings(start: Path) -> CallSettings:
    """Returns the settings for calls; raises like `find_table`."""
    table = find_table(start)
    path, values = table.path, table.values
    if path is None:
        return CallSettings()
    audio = values.get("record-audio")
    return CallSettings(
        record=_folder(path, values.get("record", False)),
        record_audio=None if audio is None else read_flag(path, "record-audio", audio),
        redact=read_flag(path, "redact", values.get("redact", False)),
    )


def read_flag(path: Path, key: str, value: Any) -> bool:
    """Returns a boolean setting; raises `UsageError` for any other value."""
    if isinstance(value, bool):
        return value
    raise UsageError(f"{path}: `{key}` must be true or false, not {value!r}")


def _folder(path: Path, value: Any) -> Path | None:
    if value is False:
        return None
    if value is True:
        return path.parent / RECORDINGS_FOLDER
    if isinstance(value, str) and value.strip():
        return path.parent / value
    raise UsageError(f"{path}: `record` must be true, false or a folder, not {value!r}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "read", error) from error


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:  # a syntax error, or not UTF-8
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def _checked(path: Path, values: Any) -> SettingsTable:
    if not isinstance(values, dict):
        raise UsageError(f"{path}: `tool.vagent` is not a table")
    for key in values:
        if key not in KEYS:
            raise UsageError(f"{path}: unknown setting `{key}`", hint=_hint(key))
    return SettingsTable(values, path)


def _hint(key: str) -> str:
    from difflib import get_close_matches

    guess = get_close_matches(key.lower().replace("_", "-"), sorted(KEYS), n=1)
    if guess:
        return f"did you mean `{guess[0]}`?"
    return f"the settings are: {', '.join(sorted(KEYS))}"
