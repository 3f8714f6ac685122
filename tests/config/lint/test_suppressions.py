from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file

HEAD = "version: 1\nname: a\nsession: {max_duration: 30m}\n"
UNUSED = "variables: {v: {default: x}}"


def check(folder: Path, text: str) -> list[Diagnostic]:
    path = folder / "agent.yaml"
    path.write_bytes((HEAD + text).encode())
    return check_file(path, environment={})


@pytest.mark.parametrize(
    "text",
    [
        f"prompt: p\n{UNUSED} # vagent: ignore[VA308]\n",
        f"prompt: p\n{UNUSED}\t#vagent: ignore[VA308] it is for later\n",
        f"prompt: p\n# vagent: ignore[VA308] on a line of its own\n{UNUSED}\n",
        f"prompt: p\n{UNUSED} # vagent: ignore[VA308, VA308]\r\n",
        "prompt: ${v}\nvariables:\n  v: {} # vagent: ignore[VA305]\n",
    ],
)
def test_a_warning_is_silenced_in_its_line(tmp_path: Path, text: str) -> None:
    assert check(tmp_path, text) == []


def test_a_comment_is_about_its_line_only(tmp_path: Path) -> None:
    found = check(tmp_path, f"prompt: p # vagent: ignore[VA308]\n{UNUSED}\n")
    assert [each.rule for each in found] == ["VA113", "VA308"]


def test_a_comment_before_a_block_is_about_all_of_it(tmp_path: Path) -> None:
    text = (
        "prompt: |  # vagent: ignore[VA302] set in production\n  p\n"
        "service:\n  url: >-  # vagent: ignore[VA302] set in production\n"
        "    wss://x/\n    ${env:NOT_SET}\n"
    )
    found = check(tmp_path, text)
    assert [(each.rule, each.line) for each in found] == [("VA113", 4)]


def test_what_looks_like_a_comment_in_a_text_is_none(tmp_path: Path) -> None:
    text = f"prompt: |\n  Say # vagent: ignore[VA308]\n{UNUSED}\n"
    assert [each.rule for each in check(tmp_path, text)] == ["VA308"]
    text = f"prompt: 'p # vagent: ignore[VA308]'\n{UNUSED}\n"
    assert [each.rule for each in check(tmp_path, text)] == ["VA308"]


def test_an_error_cannot_be_ignored(tmp_path: Path) -> None:
    found = check(tmp_path, "prompt: ${x} # vagent: ignore[VA301]\n")
    assert [each.rule for each in found] == ["VA301", "VA114"]
    assert "cannot be ignored" in found[1].message


def test_a_comment_without_a_rule_and_an_unknown_rule_are_reported(
    tmp_path: Path,
) -> None:
    found = check(
        tmp_path,
        "prompt: p # vagent: ignore\ngreeting: h # vagent: ignore[VA3O8]\n",
    )
    assert [(each.rule, each.line, each.column) for each in found] == [
        ("VA114", 4, 11),
        ("VA114", 5, 30),
    ]
    assert found[1].help == "did you mean `VA308`?"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("prompt: p  # vagent: ignore[VA308] old\n", "prompt: p\n"),
        ("# vagent: ignore[VA308] old\r\nprompt: p\n", "prompt: p\n"),
    ],
)
def test_an_unused_comment_can_be_taken_away(
    tmp_path: Path, text: str, left: str
) -> None:
    (found,) = check(tmp_path, text)
    assert found.rule == "VA113"
    assert found.fix is not None
    (edit,) = found.fix.edits
    whole = HEAD + text
    assert whole[: edit.start] + edit.text + whole[edit.end :] == HEAD + left


def test_a_comment_next_to_a_file_is_about_that_file(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text('print("hi")\ndef f() -> int:\n  "Doc of f."\n')
    tool = "prompt: p\ntools:\n  - python: t.py:f"
    found = check(tmp_path, f"{tool}\n")
    assert [(Path(each.path).name, each.rule) for each in found] == [("t.py", "VA427")]
    assert check(tmp_path, f"{tool}  # vagent: ignore[VA427] a banner\n") == []
