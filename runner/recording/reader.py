"""Reads what a call left on disk, also when a kill cut it short."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import RemoteProtocolError
from runner.recording.format import (
    Entry,
    Header,
    InvalidRecording,
    read_header,
    read_line,
)

SESSION_FILE = "session.jsonl"
_HOW = "vagent run … --record FOLDER makes one"


@dataclass(frozen=True, slots=True)
class Recording:
    """One call: its header and its lines in order, each with its seconds since began.

    `is_complete` says that it was closed properly: not so after a kill, a full disk or
    a bound (then `stopped` says which). `skipped` counts lines of kinds that this
    version does not know, and broken ones.
    """

    folder: Path
    header: Header
    entries: list[tuple[float, Entry]]
    is_complete: bool
    skipped: int = 0
    stopped: str | None = None


def read_recording(folder: Path) -> Recording:
    """Read a recording; half a last line is dropped, unknown lines are skipped.

    Raises:
        NotARecording: there is none in the folder, it cannot be read, or it is of a
            version that this one cannot read.
    """
    path = folder / SESSION_FILE
    try:
        with path.open("rb") as file:
            header = _header(file.readline(), folder)
            return _read(folder, header, file)
    except FileNotFoundError:
        raise InvalidRecording(
            f"there is no recording in '{folder}'", hint=_HOW
        ) from None
    except OSError as error:
        raise InvalidRecording.from_os_error(f"'{path}'", "read", error) from error


def find_recordings(paths: Iterable[Path]) -> list[Path]:
    """Return the recordings at or below the paths, in the order of their names.

    Raises:
        NotARecording: a path is not there, or leads to none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.name == SESSION_FILE and path.is_file():
            path = path.parent
        if not path.exists():
            raise InvalidRecording(f"there is no '{path}'")
        below = list(_below(path))
        if not below:
            raise InvalidRecording(f"there is no recording in '{path}'", hint=_HOW)
        found.update(dict.fromkeys(below))
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        if SESSION_FILE in files:
            folders.clear()  # nothing of ours lies deeper
            yield Path(place)
        folders[:] = sorted(each for each in folders if not each.startswith("."))


def _header(line: bytes, folder: Path) -> Header:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidRecording(
            f"the recording in '{folder}' ends or breaks within its first line",
            hint="nothing can be had from it",
        ) from None
    try:
        return read_header(value)
    except InvalidRecording as error:
        raise InvalidRecording(
            f"'{folder}': {error.message}", hint=error.hint
        ) from None


def _read(folder: Path, header: Header, lines: Iterable[bytes]) -> Recording:
    entries: list[tuple[float, Entry]] = []
    is_complete, skipped, stopped = False, 0, None
    for line in lines:
        if not line.endswith(b"\n"):
            break  # cut by a kill
        value = _parse(line)
        if value is None:
            skipped += 1
        elif value.get("end") is True:
            is_complete = True
        elif "stopped" in value:
            stopped = str(value["stopped"])
        else:
            entry = _entry(value)
            if entry is None:
                skipped += 1
            else:
                entries.append(entry)
    return Recording(folder, header, entries, is_complete, skipped, stopped)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _entry(value: dict[str, Any]) -> tuple[float, Entry] | None:
    try:
        return read_line(value)
    except (KeyError, TypeError, ValueError, AttributeError, RemoteProtocolError):
        return None  # a disk's fault, or a later version's
