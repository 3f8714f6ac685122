from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = "version: 1\nname: a\nprompt: Be brief.\nsession: {max_duration: 30m}\n"
BROKEN = GOOD + "voise: alba  # kept\n"
MENDED = GOOD + "voice: alba  # kept\n"


def vagent(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", "validate", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(BROKEN, "utf-8")
    return tmp_path


def test_what_was_mended_is_told(folder: Path) -> None:
    done = vagent(folder, "--fix", "a.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "a.yaml:5: replaced `voise` by `voice` [VA203]\n"
        "1 file checked, 0 errors, 0 warnings\n"
        "1 fix made\n"
    )
    assert (folder / "a.yaml").read_text("utf-8") == MENDED


def test_what_cannot_be_mended_is_shown(folder: Path) -> None:
    (folder / "a.yaml").write_text(BROKEN + "zzz: 1\n", "utf-8")
    done = vagent(folder, "--fix", "a.yaml")
    assert done.returncode == 1
    assert done.stdout.startswith("a.yaml:6:1: error: unknown key `zzz` [VA203]\n")
    assert (folder / "a.yaml").read_text("utf-8") == MENDED + "zzz: 1\n"


@pytest.mark.parametrize("options", [["--fix", "--diff"], ["--diff"]])
def test_the_difference_is_shown_and_nothing_is_written(
    folder: Path, options: list[str]
) -> None:
    done = vagent(folder, *options, "a.yaml")
    assert done.returncode == 1
    assert done.stdout.endswith("\n-voise: alba  # kept\n+voice: alba  # kept\n")
    assert done.stderr.endswith("\n1 fix would be made\n")
    assert (folder / "a.yaml").read_text("utf-8") == BROKEN


def test_without_a_difference_all_is_well(folder: Path) -> None:
    (folder / "a.yaml").write_text(GOOD + "zzz: 1\n", "utf-8")
    done = vagent(folder, "--diff", "a.yaml")
    assert (done.returncode, done.stdout) == (0, "")


def test_unsafe_fixes_alone_are_wrong_usage(folder: Path) -> None:
    assert vagent(folder, "--unsafe-fixes", "a.yaml").returncode == 2


def test_a_file_that_is_not_there_is_told(folder: Path) -> None:
    done = vagent(folder, "--fix", "none.yaml", "a.yaml")
    assert done.returncode == 3
    assert "none.yaml does not exist" in done.stderr
    assert (folder / "a.yaml").read_text("utf-8") == MENDED
