"""Child processes import nothing from the current folder."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.isolation import isolated_spawn, python_command, restore_environment

# Modules that Python, multiprocessing or vagent's child processes import early.
NAMES = ("runner", "yaml", "json", "multiprocessing", "selectors", "pip", "numpy")


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes a current folder whose modules write a file when they are imported."""
    marker = tmp_path / "executed"
    folder = tmp_path / "agents"
    folder.mkdir()
    for name in NAMES:
        text = f"open({str(marker)!r}, 'a').write({name!r} + ' ')\n"
        (folder / f"{name}.py").write_text(text, "utf-8")
    monkeypatch.chdir(folder)
    return marker


def test_a_module_of_the_current_folder_does_not_run(trap: Path) -> None:
    subprocess.run(
        python_command("json.tool", "--help"), check=True, capture_output=True
    )
    assert not trap.exists()


def test_the_same_module_runs_without_isolation(trap: Path) -> None:
    command = [sys.executable, "-m", "json"]
    subprocess.run(command, check=False, capture_output=True)
    assert trap.exists()


def read_setting(pipe: multiprocessing.connection.Connection) -> None:
    restore_environment()
    pipe.send(os.environ.get("PYTHONSAFEPATH"))


def test_a_spawned_process_is_isolated_and_its_children_are_not(
    trap: Path,
) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=read_setting, args=(theirs,))
    with isolated_spawn():
        process.start()
    assert ours.recv() is None
    process.join()
    assert process.exitcode == 0
    assert not trap.exists()
    assert "PYTHONSAFEPATH" not in os.environ


def test_the_user_s_own_setting_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with isolated_spawn():
        pass
    restore_environment()
    assert os.environ["PYTHONSAFEPATH"] == "1"
