"""Reads recordings, also incomplete ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from runner.errors import RemoteProtocolError
from runner.protocol.client.events import SpeechSynthesized
from runner.recording.format import (
    MAX_AUDIO_BYTES,
    Entry,
    Header,
    InvalidRecording,
    read_header,
    read_line,
)
from runner.safe_files import open_regular

SESSION_FILE = "session.jsonl"
# A message with the longest prompt, escaped, is a tenth of it.
_MAX_LINE_BYTES = 8 * 1024 * 1024
# Twice the limits of a recording, in bytes of lines and of synthesized speech.
_MAX_BYTES = 512 * 1024 * 1024
_MAX_SPEECH_BYTES = 2 * MAX_AUDIO_BYTES
_RECORD_HINT = "record a call with `vagent run … --record FOLDER`"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded call: header and entries, with their seconds since the call began.

    `is_complete` is false after a kill, a full disk or a limit; `stopped` is the
    reason, if it is known. `skipped` counts invalid lines and lines of unknown kinds.
    """

    folder: Path
    header: Header
    entries: list[tuple[float, Entry]]
    is_complete: bool
    skipped: int = 0
    stopped: str | None = None


def read_recording(folder: Path) -> Recording:
    """Reads a recording; skips unknown lines and an incomplete last line.

    Raises:
        InvalidRecording: the folder contains no recording, it cannot be read, or this
            version cannot read its format.
    """
    path = folder / SESSION_FILE
    try:
        with open_regular(path) as file:
            header = _header(file.readline(_MAX_LINE_BYTES), folder)
            return _read(folder, header, bounded_lines(file))
    except FileNotFoundError:
        raise InvalidRecording(
            f"no recording in '{folder}'", hint=_RECORD_HINT
        ) from None
    except OSError as error:
        raise InvalidRecording.from_os_error(f"'{path}'", "read", error) from error


def bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of a file; an empty one in place of one that is too long."""
    while line := file.readline(_MAX_LINE_BYTES):
        if len(line) < _MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(_MAX_LINE_BYTES)
        yield b"\n"


def find_recordings(paths: Iterable[Path]) -> list[Path]:
    """Returns the folders of recordings at or below the paths, sorted by name.

    Raises:
        InvalidRecording: a path does not exist or contains no recording.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.name == SESSION_FILE and path.is_file():
            path = path.parent
        if not path.exists():
            raise InvalidRecording(f"'{path}' does not exist")
        below = list(_below(path))
        if not below:
            raise InvalidRecording(f"no recording in '{path}'", hint=_RECORD_HINT)
        found.update(dict.fromkeys(below))
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        if SESSION_FILE in files:
            folders.clear()  # recordings are not nested
            yield Path(place)
        folders[:] = sorted(each for each in folders if not each.startswith("."))


def _header(line: bytes, folder: Path) -> Header:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidRecording(
            f"the first line of the recording in '{folder}' is incomplete or damaged",
            hint="delete it: nothing can be read from it",
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
    size = speech = 0
    for line in lines:
        if not line.endswith(b"\n"):
            break  # incomplete after a kill
        size += len(line)
        if size > _MAX_BYTES:
            stopped = f"it is longer than {_MAX_BYTES // 1024 // 1024} MB"
            is_complete = False
            break
        value = _parse(line)
        if value is None:
            skipped += 1
        elif value.get("end") is True:
            is_complete = True
        elif "stopped" in value:
            stopped = str(value["stopped"])
        else:
            entry = _entry(value)
            if entry is not None and isinstance(entry[1], SpeechSynthesized):
                # The only entries that hold as many bytes as they declare.
                speech += len(entry[1].pcm)
                entry = entry if speech <= _MAX_SPEECH_BYTES else None
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
        return None  # damaged, or of a later version
