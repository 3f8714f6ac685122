"""The findings of broken scenario files: bad/NAME.yaml and bad/NAME.txt.

To accept new texts, run this file with UPDATE_GOLDEN=1, then read the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from runner.config.diagnostics import render
from runner.config.files import read_agent_file
from runner.testing.scenarios.loader import check_suite
from runner.testing.scenarios.rules import RULES

BAD = Path(__file__).parent / "bad"
CASES = sorted(path.name.removesuffix(".yaml") for path in BAD.glob("*.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_a_broken_file_is_explained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    reading = read_agent_file(Path(f"{name}.yaml"))
    assert reading.is_suite
    said = render(check_suite(reading))
    expected = BAD / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(said.encode())
    assert said == expected.read_bytes().decode()


def test_every_rule_is_among_them() -> None:
    texts = "".join(each.read_text("utf-8") for each in BAD.glob("*.txt"))
    assert RULES.keys() <= set(re.findall(r"\[(VA7\d\d)\]", texts))
