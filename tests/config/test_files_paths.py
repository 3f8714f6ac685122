from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.config.files import resolve_inside


def test_files_inside_the_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    real = tmp_path.resolve()
    assert resolve_inside(tmp_path, "a/b.md") == real / "a" / "b.md"
    assert resolve_inside(tmp_path, "a/../b.md") == real / "b.md"
    assert resolve_inside(tmp_path, str(real / "b.md")) == real / "b.md"


@pytest.mark.parametrize(
    "reference", ["../b.md", "a/../../b.md", "/etc/passwd", "a\0b", ".."]
)
def test_files_outside_the_folder_are_not(tmp_path: Path, reference: str) -> None:
    assert resolve_inside(tmp_path, reference) is None


def test_a_link_that_leads_outside_is_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("x", encoding="utf-8")
    folder = tmp_path / "agents"
    folder.mkdir()
    try:
        os.symlink(outside, folder / "p.md")
    except OSError:
        pytest.skip("this account may not make symbolic links")
    assert resolve_inside(folder, "p.md") is None


def test_a_loop_of_links_is_not_a_file(tmp_path: Path) -> None:
    try:
        os.symlink(tmp_path / "b.md", tmp_path / "a.md")
        os.symlink(tmp_path / "a.md", tmp_path / "b.md")
    except OSError:
        pytest.skip("this account may not make symbolic links")
    assert resolve_inside(tmp_path, "a.md") in (None, tmp_path / "a.md")
