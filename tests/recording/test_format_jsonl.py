from __future__ import annotations

from pathlib import Path

import pytest

from runner.recording.format import LineFile


def test_lines_are_there_after_the_flush_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    file = LineFile(path)
    file.append({"a": "ä\n"})
    assert path.read_bytes() == b""
    file.append_text('{"b":1}')
    file.flush()
    file.flush()

    assert path.read_bytes() == '{"a":"ä\\n"}\n{"b":1}\n'.encode()
    assert file.bytes == path.stat().st_size
    file.close()
    file.close()


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text("precious")

    with pytest.raises(FileExistsError):
        LineFile(path)

    assert path.read_text() == "precious"
