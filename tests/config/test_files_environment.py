from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.files import load_environment
from runner.errors import FileUnreadable


def test_without_a_file_the_environment_is_the_process_s(tmp_path: Path) -> None:
    process = {"A": "1"}
    loaded = load_environment(tmp_path, process)
    assert loaded == process
    assert loaded is not process


def test_a_file_adds_to_the_process_s_and_does_not_override_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB='two words'\nEMPTY=\nBARE\n# C=3\n")
    loaded = load_environment(tmp_path, {"A": "process"})
    assert loaded == {"A": "process", "B": "two words", "EMPTY": ""}


def test_a_folder_named_dot_env_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert load_environment(tmp_path, {}) == {}


def test_a_binary_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(FileUnreadable, match=r"\.env"):
        load_environment(tmp_path, {})
