"""Good agent files of many trades: whatever a rule finds in them, the rule is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.config.diagnostics import render
from runner.config.loader import check_file
from tests.shipped import AGENT_FILES

ROOT = Path(__file__).parents[2]
CORPUS = sorted(Path(__file__).with_name("corpus").glob("*.yaml"))
FILES = [*CORPUS, *AGENT_FILES]


def environment_of(path: Path) -> dict[str, str]:
    """Set what the file takes from the environment."""
    names = re.findall(r"\$\{env:(\w+)\}", path.read_text("utf-8"))
    return dict.fromkeys(names, "set")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_good_file_has_no_findings(path: Path) -> None:
    assert render(check_file(path, environment=environment_of(path))) == ""


def test_the_files_are_of_many_trades_and_spellings() -> None:
    data = {path.stem: path.read_bytes() for path in CORPUS}
    assert len(data) >= 30
    # An editor or a checkout that rewrites them would take the point away.
    assert b"\r\n" in data["restaurante"]
    assert data["hotel_fr"].startswith(b"\xef\xbb\xbf")
