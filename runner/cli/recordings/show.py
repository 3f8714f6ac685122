"""`vagent show` for recordings: one call, or the list of calls in a folder."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from runner.cli.output import printable
from runner.cli.recordings.html import write_page
from runner.cli.recordings.terminal import make_console, render_call, render_list
from runner.errors import AudioFileError, UsageError
from runner.observers.timeline import TimeLine, trace
from runner.recording.audio_tracks import Voices, read_voices
from runner.recording.format import InvalidRecording
from runner.recording.reader import Recording, find_recordings, read_recording

FORMATS = ("text", "json")


def show_recordings(path: Path, format: str, html: Path | None) -> None:
    """Prints the call in a folder, or a line for each of the calls below it.

    Raises:
        UsageError: no recording was found, or the options do not fit.
        InvalidRecording: the recording cannot be read.
        FileUnreadable: the HTML page cannot be written.
    """
    if format not in FORMATS:
        raise UsageError(
            f"unknown format '{format}' for recordings",
            hint=f"use one of: {', '.join(FORMATS)}",
        )
    folders = _find(path)
    if folders in (
        [path],
        [path.parent],
    ):  # a single recording in a subfolder is listed
        _show_one(folders[0], format, html)
    elif html is not None:
        raise UsageError(
            f"--html shows one call, but '{path}' contains several",
            hint=f"give one of them, such as {folders[-1]}",
        )
    else:
        _list(folders, format)


def _find(path: Path) -> list[Path]:
    try:
        return find_recordings([path])
    except InvalidRecording:
        raise UsageError(
            f"'{path}' is a folder, not an agent file or a recording",
            hint=f"give a file, such as {path / 'support.yaml'}",
        ) from None


def _show_one(folder: Path, format: str, html: Path | None) -> None:
    recording = read_recording(folder)
    voices = _voices(folder)
    line = trace(recording.entries, voices)
    if html is not None:
        _write(html, write_page(recording, line, voices))
    elif format == "json":
        typer.echo(write_report(report(recording, line)), nl=False)
    else:
        console = make_console(sys.stdout)
        typer.echo(render_call(console, recording, line, voices), nl=False, color=True)


def _voices(folder: Path) -> Voices | None:
    try:
        return read_voices(folder)
    except AudioFileError as error:
        typer.echo(f"vagent: {error.message}: shown without audio", err=True)
        return None


def _write(path: Path, page: str) -> None:
    if str(path) == "-":
        typer.echo(page.encode("utf-8", "replace"), nl=False)
        return
    from runner.cli.schema import write_all

    # The page contains what was said.
    write_all({path: page.encode("utf-8", "replace")}, overwrite=True, is_private=True)
    typer.echo(f"wrote {path}", err=True)


def _list(folders: list[Path], format: str) -> None:
    calls: list[tuple[Recording, TimeLine]] = []
    for folder in folders:
        try:
            recording = read_recording(folder)
            calls.append((recording, trace(recording.entries)))
        # An invalid recording must not hide the others, whatever is wrong with it.
        except InvalidRecording as error:
            typer.echo(f"vagent: {printable(error.message)}", err=True)
        except Exception as error:
            reason = printable(f"{type(error).__name__}: {error}")
            typer.echo(f"vagent: '{folder}' cannot be shown: {reason}", err=True)
    calls.sort(key=lambda call: (call[0].header.started, str(call[0].folder)))
    if format == "json":
        typer.echo(write_report([report(*call) for call in calls]), nl=False)
    else:
        typer.echo(render_list(calls), nl=False)


# Control characters and line separators that JSON does not escape.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def write_report(value: Any) -> str:
    """Returns JSON text that is safe on a terminal, with a final line end."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def report(recording: Recording, line: TimeLine) -> dict[str, Any]:
    """Returns a call as a JSON object; times in seconds, rounded to milliseconds.

    Keys may be added in later versions, but not removed.
    """
    header = recording.header
    latency = line.median_latency
    return {
        "type": "vagent.show.recording",
        "folder": recording.folder.as_posix(),
        "agent": asdict(header.agent),
        "service": header.service,
        "started": header.started,
        "vagent": header.vagent,
        "is_complete": recording.is_complete,
        "stopped": recording.stopped,
        "lines_skipped": recording.skipped,
        **_rounded(_line_fields(line)),
        "totals": _rounded(
            {
                "turns": len(line.turns),
                "caller_seconds": line.talked("caller"),
                "agent_seconds": line.talked("agent"),
                "median_latency": latency,
                "tool_calls": len(line.tools),
                "interruptions": len(line.interruptions),
                "drops": len(line.drops),
            }
        ),
    }


def _line_fields(line: TimeLine) -> dict[str, Any]:
    fields = asdict(line)
    fields["notices"] = fields.pop("remarks")
    losses = fields["losses"]
    losses["messages_malformed"] = losses.pop("messages_garbled")
    return fields


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
