"""What is said about broken scenario files: bad/NAME.yaml beside bad/NAME.txt.

To accept new wordings: UPDATE_GOLDEN=1 pytest tests/testing/scenarios/test_golden.py, then read
the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from runner.config.reading import read_agent_file
from runner.config.rendering import render
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
