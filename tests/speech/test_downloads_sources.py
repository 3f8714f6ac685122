from __future__ import annotations

import errno
from pathlib import Path

import pytest

from runner.errors import SpeechError
from runner.speech.downloads import DiskFull, length, reporting_disk_errors


def test_a_full_disk_is_reported_with_a_hint(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFull, match="is full") as caught,
        reporting_disk_errors(tmp_path / "model.bin"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert "VAGENT_MODELS" in (caught.value.hint or "")


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "model.bin"

    with (
        pytest.raises(SpeechError, match=r"cannot write '.*model\.bin'"),
        reporting_disk_errors(path),
    ):
        path.write_bytes(b"")


def test_a_missing_file_has_length_zero(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"123")

    assert length(tmp_path / "part") == 3
    assert length(tmp_path / "nothing") == 0
