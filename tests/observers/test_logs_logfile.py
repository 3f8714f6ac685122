"""A log in a file: what is there afterwards, and what a disk may do to it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runner.errors import FileUnreadable
from runner.observers.logs import LogFile


def nothing_told(text: str) -> None:
    raise AssertionError(text)


def test_lines_are_appended_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n", "utf-8")

    with LogFile(path, nothing_told) as log:
        for number in range(500):
            log.write(f"line {number} ü")

    lines = path.read_text("utf-8").splitlines()
    assert lines == ["before", *(f"line {number} ü" for number in range(500))]


@pytest.mark.parametrize("name", ["missing/log", "."])
def test_a_file_that_cannot_be_opened_is_told_before_anything_happens(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(FileUnreadable, match="cannot be written") as raised:
        LogFile(tmp_path / name, nothing_told)

    assert raised.value.exit_code == 3
    assert raised.value.hint


def test_half_a_surrogate_pair_is_no_error(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log", nothing_told) as log:
        log.write("half \ud800")

    assert (tmp_path / "log").read_text("utf-8") == "half \\ud800\n"


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only Linux has a disk that is always full"
)
def test_a_full_disk_is_told_once_and_is_no_error() -> None:
    told: list[str] = []
    with LogFile(Path("/dev/full"), told.append) as log:
        for _ in range(10):
            log.write("line")

    assert told == [
        "the log '/dev/full' stopped: no space left on device; the call goes on"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be closed there")
def test_a_file_that_is_closed_under_it_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)  # and so the log takes this descriptor
    with LogFile(tmp_path / "log", told.append) as log:
        os.close(free)
        other = os.open(os.devnull, os.O_RDONLY)  # which is not writable
        assert other == free
        log.write("line")
        log.write("line")

    assert len(told) == 1
    assert "the call goes on" in told[0]
