"""The findings of broken files, word for word: bad/NAME.yaml and bad/NAME.txt.

To accept new texts, run this file with UPDATE_GOLDEN=1, then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.config.diagnostics import render
from runner.config.loader import check_file

BAD = Path(__file__).parent / "bad"
CASES = sorted(path.stem for path in BAD.glob("*.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_a_broken_file_is_explained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    found = check_file(Path(f"{name}.yaml"), environment={})
    # Spoken texts are tested elsewhere; all of these would have findings.
    said = render(each for each in found if not each.rule.startswith("VA5"))
    expected = BAD / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(said.encode())
    assert said == expected.read_bytes().decode()


def test_every_broken_file_has_a_finding_of_its_own() -> None:
    silent = [name for name in CASES if not (BAD / f"{name}.txt").read_text("utf-8")]
    assert silent == []
    assert len(CASES) >= 100
