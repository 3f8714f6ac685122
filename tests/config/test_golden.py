"""What is said about broken files, word for word: bad/NAME.yaml beside bad/NAME.txt.

To accept new wordings: UPDATE_GOLDEN=1 pytest tests/config/test_golden.py, then read
the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from runner.config.diagnostics import render
from runner.config.loader import check_file

BAD = Path(__file__).parent / "bad"
CASES = sorted(path.stem for path in BAD.glob("*.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_a_broken_file_is_explained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    said = render(check_file(Path(f"{name}.yaml"), environment={}))
    expected = BAD / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(said.encode())
    assert said == expected.read_bytes().decode()


def test_every_broken_file_has_a_finding_of_its_own() -> None:
    silent = [name for name in CASES if not (BAD / f"{name}.txt").read_text("utf-8")]
    assert silent == []
    assert len(CASES) >= 100


def test_every_rule_in_the_code_is_shown_by_a_broken_file() -> None:
    code = Path(__file__).parents[2] / "runner" / "config"
    named = {
        rule
        for file in code.glob("*.py")
        for rule in re.findall(r'"(VA\d{3})"', file.read_text("utf-8"))
    }
    shown = {
        rule
        for name in CASES
        for rule in re.findall(
            r"\[(VA\d{3})\]", (BAD / f"{name}.txt").read_text("utf-8")
        )
    }
    # Elsewhere: VA109 needs a file of over 1 MB (test_loader), VA299 a keyword that
    # only the schema of a plugin's kind can have (test_schema), VA404 a file that is
    # no Python, which linters would trip over (test_callables).
    assert named - shown == {"VA109", "VA299", "VA404"}
