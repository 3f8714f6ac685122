"""`vagent show` of recordings: one call, or a list of those in a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from runner.cli.recordings.html import write_page
from runner.cli.recordings.report import report, write_report
from runner.cli.recordings.terminal import make_console, render_call, render_list
from runner.errors import AudioFileError, UsageError
from runner.observers.timeline import TimeLine, trace
from runner.recording.header import InvalidRecording
from runner.recording.reader import Recording, find_recordings, read_recording
from runner.recording.voices import Voices, read_voices

FORMATS = ("text", "json")


def show_recordings(path: Path, format: str, html: Path | None) -> None:
    """Print the call in a folder, or a line for each of the calls below it.

    Raises:
        UsageError: there is none, or what is asked for is not for recordings.
        NotARecording: it cannot be read.
        FileUnreadable: the page cannot be written.
    """
    if format not in FORMATS:
        raise UsageError(
            f"there is no format '{format}' for recordings",
            hint=f"one of: {', '.join(FORMATS)}",
        )
    folders = _find(path)
    if folders in ([path], [path.parent]):  # of one below, too, there is a list
        _show_one(folders[0], format, html)
    elif html is not None:
        raise UsageError(
            f"--html shows one call, and '{path}' is a folder of them",
            hint=f"such as {folders[-1]}",
        )
    else:
        _list(folders, format)


def _find(path: Path) -> list[Path]:
    try:
        return find_recordings([path])
    except InvalidRecording:
        raise UsageError(
            f"{path} is a folder, and show takes one agent file or a recording",
            hint=f"such as {path / 'support.yaml'}",
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
    from runner.writing import write_all

    write_all({path: page.encode("utf-8", "replace")}, overwrite=True)
    typer.echo(f"wrote {path}", err=True)


def _list(folders: list[Path], format: str) -> None:
    calls: list[tuple[Recording, TimeLine]] = []
    for folder in folders:
        try:
            recording = read_recording(folder)
        except InvalidRecording as error:  # one that is broken must not hide the others
            typer.echo(f"vagent: {error.message}", err=True)
            continue
        calls.append((recording, trace(recording.entries)))
    calls.sort(key=lambda call: (call[0].header.started, str(call[0].folder)))
    if format == "json":
        typer.echo(write_report([report(*call) for call in calls]), nl=False)
    else:
        typer.echo(render_list(calls), nl=False)
