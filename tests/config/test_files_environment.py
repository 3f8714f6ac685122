from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.config.files import load_environment
from runner.errors import FileUnreadable


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")


def test_without_a_file_the_environment_is_the_process_s(tmp_path: Path) -> None:
    process = {"A": "1"}
    loaded = load_environment(tmp_path, process)
    assert loaded == process
    assert loaded is not process


def test_a_file_adds_to_the_process_s_and_does_not_override_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB='two words'\nBARE\n# C=3\n")
    loaded = load_environment(tmp_path, {"A": "process"})
    assert loaded == {"A": "process", "B": "two words"}
    assert loaded.in_file == {"A": "file", "B": "two words"}


def test_an_empty_variable_is_not_set_and_hides_none_of_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("A=file\nEMPTY=\nBLANK='  '\n")
    loaded = load_environment(tmp_path, {"A": "", "B": "", "C": " "})
    assert loaded == {"A": "file"}
    assert loaded.empty == {"B", "C", "EMPTY", "BLANK"}


def test_a_value_in_single_quotes_is_literal(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "A='a${X}b'\nexport B = 'c${X}d'\nC=\"e${X}f\"\nD=g${X}h\nE=${D:-no}'\n"
    )
    loaded = load_environment(tmp_path, {"X": "1"})
    assert loaded == {
        "X": "1",
        "A": "a${X}b",
        "B": "c${X}d",
        "C": "e1f",
        "D": "g1h",
        "E": "g1h'",
    }


def test_the_file_is_looked_for_next_to_the_agent_first(tmp_path: Path) -> None:
    agents = tmp_path / "project" / "agents"
    agents.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()
    places = [agents / ".env", agents.parent / ".env", Path.cwd() / ".env"]
    assert load_environment(agents, {}).tried == tuple(places)
    for number, place in reversed([*enumerate(places)]):
        place.write_text(f"A={number + 1}\n")
        found = load_environment(agents, {})
        assert found == {"A": str(number + 1)}
        assert found.tried == tuple(places[: number + 1])


def test_folders_above_the_project_are_not_searched(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / "project" / ".git").mkdir(parents=True)
    assert load_environment(tmp_path / "project", {}) == {}


def test_a_folder_named_dot_env_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert load_environment(tmp_path, {}) == {}


def test_a_binary_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(FileUnreadable, match=r"\.env"):
        load_environment(tmp_path, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name there")
def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    with pytest.raises(FileUnreadable, match="is a pipe, not a file"):
        load_environment(tmp_path, {})
