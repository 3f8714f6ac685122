from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli.schema import write_all
from runner.errors import FileUnreadable


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None
        for each in folder.rglob("*")
    }


def test_all_files_and_their_folders_are_written(tmp_path: Path) -> None:
    write_all({tmp_path / "a" / "b" / "one": b"1", tmp_path / "a" / "two": b"2"})

    assert (tmp_path / "a" / "b" / "one").read_bytes() == b"1"
    assert (tmp_path / "a" / "two").read_bytes() == b"2"


def test_nothing_is_written_if_one_file_exists(tmp_path: Path) -> None:
    (tmp_path / "two").write_bytes(b"mine")
    before = tree(tmp_path)

    with pytest.raises(FileUnreadable, match="two cannot be written: file exists"):
        write_all({tmp_path / "new" / "one": b"1", tmp_path / "two": b"2"})

    assert tree(tmp_path) == before


def test_a_failure_restores_overwritten_files(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    before = tree(tmp_path)

    with pytest.raises(FileUnreadable, match="folder cannot be written"):
        write_all({tmp_path / "one": b"1", tmp_path / "folder": b"2"}, overwrite=True)

    assert tree(tmp_path) == before


def test_a_file_in_place_of_a_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "tools").write_bytes(b"mine")
    before = tree(tmp_path)

    with pytest.raises(FileUnreadable, match="cannot be written"):
        write_all({tmp_path / "x" / "a": b"1", tmp_path / "tools" / "b" / "c": b"2"})

    assert tree(tmp_path) == before


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    link = tmp_path / "link"
    try:
        link.symlink_to(tmp_path / "elsewhere")
    except OSError as error:  # Windows requires a privilege
        pytest.skip(f"no symbolic links here: {error}")

    with pytest.raises(FileUnreadable):
        write_all({link: b"1"})

    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("is_folder", [False, True])
def test_nothing_is_written_through_a_link(
    overwrite: bool,
    is_folder: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim = tmp_path / "home" / "profile"
    victim.parent.mkdir()
    victim.write_bytes(b"mine")
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    try:
        if is_folder:
            Path("agents").symlink_to(victim.parent)
        else:
            Path("agents").mkdir()
            Path("agents/profile").symlink_to(victim)
    except OSError as error:  # Windows requires a privilege
        pytest.skip(f"no symbolic links here: {error}")

    files = {Path("new/one"): b"1", Path("agents/profile"): b"2"}
    with pytest.raises(FileUnreadable, match="is a symbolic link"):
        write_all(files, overwrite=overwrite)

    assert victim.read_bytes() == b"mine"
    assert not Path("new").exists()
