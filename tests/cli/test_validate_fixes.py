from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = "version: 1\nname: a\nprompt: Be brief.\nsession: {max_duration: 30m}\n"
BROKEN = GOOD + "voise: alba  # kept\n"
FIXED = GOOD + "voice: alba  # kept\n"


def vagent(
    folder: Path, *arguments: str, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", "validate", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=input,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(BROKEN, "utf-8")
    return tmp_path


def test_fixes_are_reported(folder: Path) -> None:
    done = vagent(folder, "--fix", "a.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "a.yaml:5: replaced `voise` by `voice` [VA203]\n"
        "1 file checked, 0 errors, 0 warnings\n"
        "1 fix made\n"
    )
    assert (folder / "a.yaml").read_text("utf-8") == FIXED


def test_remaining_findings_are_shown(folder: Path) -> None:
    (folder / "a.yaml").write_text(BROKEN + "zzz: 1\n", "utf-8")
    done = vagent(folder, "--fix", "a.yaml")
    assert done.returncode == 1
    assert done.stdout.startswith("a.yaml:6:1: error: unknown key `zzz` [VA203]\n")
    assert (folder / "a.yaml").read_text("utf-8") == FIXED + "zzz: 1\n"


@pytest.mark.parametrize("options", [["--fix", "--diff"], ["--diff"]])
def test_diff_shows_the_changes_and_writes_nothing(
    folder: Path, options: list[str]
) -> None:
    done = vagent(folder, *options, "a.yaml")
    assert done.returncode == 1
    assert done.stdout.endswith("\n-voise: alba  # kept\n+voice: alba  # kept\n")
    assert done.stderr.endswith("\n1 fix would be made\n")
    assert (folder / "a.yaml").read_text("utf-8") == BROKEN


def test_diff_without_changes_exits_with_0(folder: Path) -> None:
    (folder / "a.yaml").write_text(GOOD + "zzz: 1\n", "utf-8")
    done = vagent(folder, "--diff", "a.yaml")
    assert (done.returncode, done.stdout) == (0, "")


def test_unsafe_fixes_alone_are_wrong_usage(folder: Path) -> None:
    assert vagent(folder, "--unsafe-fixes", "a.yaml").returncode == 2


def test_a_missing_file_is_reported(folder: Path) -> None:
    done = vagent(folder, "--fix", "none.yaml", "a.yaml")
    assert done.returncode == 3
    assert "none.yaml does not exist" in done.stderr
    assert (folder / "a.yaml").read_text("utf-8") == FIXED


def test_standard_input_is_fixed_to_standard_output(tmp_path: Path) -> None:
    done = vagent(tmp_path, "--fix", "-", input=BROKEN + "zzz: 1\n")
    assert done.returncode == 1
    assert done.stdout == FIXED + "zzz: 1\n"
    assert "<stdin>:5: replaced `voise` by `voice` [VA203]" in done.stderr


def test_valid_standard_input_is_written_unchanged(tmp_path: Path) -> None:
    done = vagent(tmp_path, "--fix", "-", input=GOOD)
    assert (done.returncode, done.stdout) == (0, GOOD)


def test_only_selected_rules_are_fixed(folder: Path) -> None:
    text = BROKEN + "turn_detection: {interruptible: yes}\n"
    (folder / "a.yaml").write_text(text, "utf-8")
    vagent(folder, "--fix", "--ignore", "VA203", "a.yaml")
    assert (folder / "a.yaml").read_text("utf-8") == text.replace("yes", "true")
    vagent(folder, "--fix", "--select", "VA203", "a.yaml")
    assert "voice: alba" in (folder / "a.yaml").read_text("utf-8")


def test_unsafe_fixes_are_counted_and_applied_on_request(folder: Path) -> None:
    text = GOOD.replace("30m", "30")
    (folder / "a.yaml").write_text(text, "utf-8")
    done = vagent(folder, "--fix", "a.yaml")
    assert done.stderr.endswith("\n0 fixes made, 1 more with --unsafe-fixes\n")
    assert (folder / "a.yaml").read_text("utf-8") == text
    done = vagent(folder, "--fix", "--unsafe-fixes", "a.yaml")
    assert (folder / "a.yaml").read_text("utf-8") == GOOD.replace("30m", "30s")


def test_files_that_are_watched_are_not_edited(folder: Path) -> None:
    assert vagent(folder, "--fix", "--watch", "a.yaml").returncode == 2
