from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.safe_files import (
    LinkRefused,
    make_private_folders,
    open_new,
    open_private,
    open_regular,
    refuse_links,
    replace_file,
    write_file,
)

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="links and pipes need a privilege there"
)

WRITERS: dict[str, Callable[[Path], object]] = {
    "write_file": lambda path: write_file(path, b"new"),
    "write_file private": lambda path: write_file(path, b"new", opener=open_private),
    "replace_file": lambda path: replace_file(path, b"new"),
    "append": lambda path: os.close(open_new(path, os.O_WRONLY | os.O_APPEND)),
    "update": lambda path: os.close(open_new(path, os.O_RDWR)),
}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "victim"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    return path


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_no_writer_writes_through_a_link(
    write: Callable[[Path], object], tmp_path: Path, victim: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(victim)

    with pytest.raises(LinkRefused, match="it is a symbolic link"):
        write(link)

    assert victim.read_bytes() == b"mine"
    assert link.is_symlink()


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_no_writer_creates_the_target_of_a_dangling_link(
    write: Callable[[Path], object], tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "absent")

    with pytest.raises(LinkRefused):
        write(link)

    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_linked_folder_in_the_current_folder_is_refused(
    is_absolute: bool, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "agents").symlink_to(victim.parent)
    monkeypatch.chdir(project)
    path = (project if is_absolute else Path()) / "agents" / "deep" / "victim"

    with pytest.raises(LinkRefused, match="agents' is a symbolic link"):
        refuse_links(path)
    with pytest.raises(LinkRefused):
        make_private_folders(path)


def test_a_link_above_the_current_folder_is_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "link")

    write_file(tmp_path / "link" / "file", b"new")

    assert (tmp_path / "real" / "file").read_bytes() == b"new"


def test_the_links_of_the_system_are_written() -> None:
    read_end, write_end = os.pipe()
    try:
        write_file(Path(f"/dev/fd/{write_end}"), b"new")
        assert os.read(read_end, 10) == b"new"
    finally:
        os.close(read_end)
        os.close(write_end)


def test_private_files_and_folders_are_for_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "calls" / "one"
    make_private_folders(folder)
    write_file(folder / "file", b"new", opener=open_private)
    replace_file(folder / "replaced", b"new")

    assert [mode(folder.parent), mode(folder)] == [0o700, 0o700]
    assert [mode(folder / each) for each in ("file", "replaced")] == [0o600, 0o600]


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)

    replace_file(path, b"new")

    assert (path.read_bytes(), mode(path)) == (b"new", 0o640)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_only_a_regular_file_is_opened_for_reading(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")

    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"text"
    for name, reason in (("pipe", "a pipe"), ("device", "a device"), ("", "a folder")):
        with pytest.raises(OSError, match=f"it is {reason}"):
            open_regular(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent")
