"""Failures are stored, and removed when they pass."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.errors import FileUnreadable
from runner.testing.discovery import forget_old, key, load_failed, note_failed
from runner.testing.results import Report, ScenarioResult, Status
from tests.testing.builders import scenario

TRIED = scenario(Path("a.yaml"))


def report(status: Status) -> Report:
    return Report((ScenarioResult(TRIED, "script", status),))


@pytest.mark.parametrize("status", [Status.FAILED, Status.ERROR])
def test_a_failure_is_remembered(tmp_path: Path, status: Status) -> None:
    note_failed(report(status), tmp_path / "new")

    assert load_failed(tmp_path / "new") == frozenset({key(TRIED)})


@pytest.mark.parametrize("status", [Status.PASSED, Status.SKIPPED])
def test_a_failure_that_passes_is_removed(tmp_path: Path, status: Status) -> None:
    note_failed(report(Status.FAILED), tmp_path)
    note_failed(report(status), tmp_path)

    assert load_failed(tmp_path) is None


def test_a_failure_that_did_not_run_is_kept(tmp_path: Path) -> None:
    note_failed(report(Status.FAILED), tmp_path)
    note_failed(Report(), tmp_path)

    assert load_failed(tmp_path) == frozenset({key(TRIED)})


def test_a_clean_run_leaves_nothing_behind(tmp_path: Path) -> None:
    note_failed(report(Status.PASSED), tmp_path / "new")

    assert not (tmp_path / "new").exists()


def test_recordings_of_what_passed_are_kept_out_of_git(tmp_path: Path) -> None:
    note_failed(report(Status.PASSED), tmp_path)

    assert (tmp_path / ".gitignore").is_file()


def recordings(folder: Path, count: int) -> list[Path]:
    """Make recordings, the oldest first."""
    made = [folder / f"{number:03}" for number in range(count)]
    for age, path in enumerate(made):
        path.mkdir()
        (path / "session.jsonl").touch()
        os.utime(path, (age, age))
    return made


def test_the_oldest_recordings_are_removed(tmp_path: Path) -> None:
    made = recordings(tmp_path, 203)
    (tmp_path / "own").mkdir()
    named = ScenarioResult(TRIED, "script", Status.FAILED, recording=made[1])

    forget_old(Report((named,)), tmp_path)

    left = set(tmp_path.iterdir())
    assert left == {tmp_path / "own", made[1], *made[3:]}


def test_without_recordings_nothing_is_removed(tmp_path: Path) -> None:
    forget_old(Report(), tmp_path / "missing")

    assert list(tmp_path.iterdir()) == []


def test_the_folder_keeps_itself_out_of_git(tmp_path: Path) -> None:
    note_failed(report(Status.FAILED), tmp_path)

    assert (tmp_path / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("text", ["{", "{}", "[1, 2]", "null", ""])
def test_a_spoilt_memory_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "last-failed.json").write_text(text, "utf-8")

    assert load_failed(tmp_path) is None
    note_failed(report(Status.FAILED), tmp_path)
    assert load_failed(tmp_path) == frozenset({key(TRIED)})


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", "utf-8")
    with pytest.raises(FileUnreadable, match="cannot be written"):
        note_failed(report(Status.FAILED), tmp_path / "taken")
