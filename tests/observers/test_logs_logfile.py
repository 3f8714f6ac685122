"""Log files: content, and behavior on disk errors."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from runner.errors import FileUnreadable
from runner.observers.logs import LogFile


def no_notice(text: str) -> None:
    raise AssertionError(text)


def test_lines_are_appended_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n", "utf-8")

    with LogFile(path, no_notice) as log:
        for number in range(500):
            log.write(f"line {number} ü")

    lines = path.read_text("utf-8").splitlines()
    assert lines == ["before", *(f"line {number} ü" for number in range(500))]


@pytest.mark.parametrize("name", ["missing/log", "."])
def test_a_file_that_cannot_be_opened_is_reported_on_creation(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(FileUnreadable, match="cannot write log") as raised:
        LogFile(tmp_path / name, no_notice)

    assert raised.value.exit_code == 3
    assert raised.value.hint


def test_half_a_surrogate_pair_is_escaped(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log", no_notice) as log:
        log.write("half \ud800")

    assert (tmp_path / "log").read_text("utf-8") == "half \\ud800\n"


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only Linux has a disk that is always full"
)
def test_a_full_disk_is_reported_once_and_not_raised() -> None:
    notices: list[str] = []
    with LogFile(Path("/dev/full"), notices.append) as log:
        for _ in range(10):
            log.write("line")

    assert notices == [
        "log '/dev/full' stopped: no space left on device; the call continues"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be closed there")
def test_a_file_closed_from_outside_is_reported_once(tmp_path: Path) -> None:
    notices: list[str] = []
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)  # and so the log takes this descriptor
    with LogFile(tmp_path / "log", notices.append) as log:
        os.close(free)
        other = os.open(os.devnull, os.O_RDONLY)  # which is not writable
        assert other == free
        log.write("line")
        log.write("line")

    assert len(notices) == 1
    assert "the call continues" in notices[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_log_is_for_its_owner_and_not_written_through_a_link(tmp_path: Path) -> None:
    log, link = tmp_path / "call.log", tmp_path / "link.log"
    link.symlink_to(log)

    with pytest.raises(FileUnreadable, match="it is a symbolic link"):
        LogFile(link, pytest.fail)
    with LogFile(log, pytest.fail):
        pass

    assert stat.S_IMODE(log.stat().st_mode) == 0o600
