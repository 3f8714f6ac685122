"""What failed last time, kept beside the project for `--last-failed`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from runner.errors import FileUnreadable
from runner.testing.results import Report
from runner.testing.selection import key

FOLDER = Path(".vagent")
RECORDINGS = FOLDER / "recordings"
_FILE = "last-failed.json"
_MOST_RECORDINGS = 200


def load_failed(folder: Path = FOLDER) -> frozenset[str] | None:
    """Return the keys of what failed; None when nothing is known or nothing failed.

    A file that cannot be made sense of is as good as none: it is only a memory.
    """
    try:
        content = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, list):
        return None
    return frozenset(each for each in content if isinstance(each, str)) or None


def note_failed(report: Report, folder: Path = FOLDER) -> None:
    """Remember what failed, and forget what has passed since.

    Raises:
        FileUnreadable: the folder cannot be written.
    """
    known = set(load_failed(folder) or ())
    for result in report.results:
        if result.has_failed:
            known.add(key(result.scenario))
    failed_now = {key(each.scenario) for each in report.failed}
    passed = {key(each.scenario) for each in report.results} - failed_now
    _write(folder, sorted(known - passed))


def forget_old(report: Report, folder: Path = RECORDINGS) -> None:
    """Remove the oldest recordings beyond a number, none that the report names."""
    named = {os.path.realpath(each.recording or "") for each in report.results}
    try:
        found = [
            each
            for each in folder.iterdir()
            if (each / "session.jsonl").is_file()  # nothing that somebody else put here
        ]
        found.sort(key=lambda each: each.stat().st_mtime_ns, reverse=True)
    except OSError:  # there are none, or another run is at it
        return
    for each in found[_MOST_RECORDINGS:]:
        if os.path.realpath(each) not in named:
            shutil.rmtree(each, ignore_errors=True)


def _write(folder: Path, failed: Sequence[str]) -> None:
    path = folder / _FILE
    if not failed and not folder.exists():
        return
    try:
        keep_out_of_git(folder)  # recordings of what passed may be in it, too
        path.write_text(json.dumps(failed, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "written", error) from error


def keep_out_of_git(folder: Path) -> None:
    """Make the folder for what is only of this machine; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", "utf-8")
