from __future__ import annotations

from pathlib import Path

from runner.doctor.wishes import Wishes


def test_the_environment_is_that_of_a_run(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    wishes = Wishes({"A": "shell"}, tmp_path)

    assert wishes.effective_environment() == {"A": "shell", "B": "file"}


def test_a_file_that_cannot_be_read_leaves_the_shells(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe=\x00")
    wishes = Wishes({"A": "shell"}, tmp_path)

    assert wishes.effective_environment() == {"A": "shell"}


def test_what_is_in_the_environment_is_in_no_repr(tmp_path: Path) -> None:
    assert "s3cr3t" not in repr(Wishes({"A_KEY": "s3cr3t"}, tmp_path))
