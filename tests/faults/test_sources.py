"""Faults from the command line and from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import ConfigError, FileUnreadable, UsageError
from runner.faults.sources import load_faults


def write(folder: Path, text: str) -> str:
    path = folder / "faults.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def test_specs_and_files_are_taken_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, "- drop on=tool.call:2  # the second\n- 'lose on=*'\n")

    faults = load_faults(["drop at=1s", path, "drop at=2s"])

    assert [fault.spec for fault in faults] == [
        "drop at=1s",
        "drop on=tool.call:2",
        "lose on=*",
        "drop at=2s",
    ]


def test_an_empty_list_is_no_fault(tmp_path: Path) -> None:
    assert load_faults([write(tmp_path, "[]\n")]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "- drop at=1s\n\n- dorp at=1s\n",
            ":3: fault 'dorp at=1s': there is no 'dorp'",
        ),
        ("- drop at=1s\n- drop: {at: 1s}\n", ":2: a fault is written as text"),
        ("drop at=1s\n", " is not a list of faults"),
    ],
)
def test_a_mistake_in_a_file_is_shown_by_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_faults([path])

    assert caught.value.message.startswith(f"{path}{message}")
    assert caught.value.hint


@pytest.mark.parametrize("text", ["- [\n", ""])
def test_a_file_that_is_no_yaml_has_findings(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_faults([write(tmp_path, text)])

    assert caught.value.diagnostics


def test_a_file_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "faults.yml"
    path.write_bytes(b"- \xff\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_faults([str(path)])


def test_a_file_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(FileUnreadable, match="does not exist"):
        load_faults(["nowhere.yaml"])
