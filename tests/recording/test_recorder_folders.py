from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from runner.errors import FileUnreadable
from runner.recording.recorder import new_folder

NOW = datetime(2026, 1, 31, 14, 5, 9)


def test_each_recording_has_its_own_folder(tmp_path: Path) -> None:
    names = [new_folder(tmp_path / "kept", "support", NOW).name for _ in range(3)]

    assert names == [f"2026-01-31T14-05-09-support{each}" for each in ("", "-2", "-3")]


@pytest.mark.parametrize(
    ("agent", "end"),
    [
        ("a/../b: c?", "a-b-c"),
        ("..", "agent"),
        ("Ünïcode", "Ünïcode"),
        ("x" * 300, "x" * 60),
    ],
)
def test_the_agents_name_becomes_a_name_of_a_folder(
    tmp_path: Path, agent: str, end: str
) -> None:
    folder = new_folder(tmp_path, agent, NOW)

    assert folder.parent == tmp_path
    assert folder.name == f"2026-01-31T14-05-09-{end}"


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FileUnreadable, match="cannot be recorded in") as caught:
        new_folder(tmp_path / "file", "support", NOW)

    assert "--record" in str(caught.value.hint)
