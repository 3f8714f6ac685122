from __future__ import annotations

from pathlib import Path

from runner.cli.doctor_checks.model import DoctorOptions


def test_the_environment_is_that_of_a_run(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    options = DoctorOptions({"A": "shell"}, tmp_path)

    assert options.effective_environment() == {"A": "shell", "B": "file"}


def test_an_unreadable_file_leaves_the_environment_of_the_shell(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe=\x00")
    options = DoctorOptions({"A": "shell"}, tmp_path)

    assert options.effective_environment() == {"A": "shell"}


def test_the_environment_is_not_in_the_repr(tmp_path: Path) -> None:
    assert "s3cr3t" not in repr(DoctorOptions({"A_KEY": "s3cr3t"}, tmp_path))
