"""docs/rules/ says what the rules' own texts say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from runner.checking.catalogue import all_rules

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "rules"
RULES = all_rules()


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make_rules.py"))


def test_the_pages_are_what_the_rules_make_of_them(generator: dict[str, Any]) -> None:
    pages = generator["make_pages"]()
    written = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*")}
    assert written == pages, "run: make docs"


def test_every_rule_has_a_page_and_a_row(generator: dict[str, Any]) -> None:
    pages = generator["make_pages"]()
    rows = re.findall(r"^\| \[(VA\d+)\]\((.+?)\)", pages["README.md"], re.MULTILINE)
    assert rows == [(each, f"{each}.md") for each in sorted(RULES)]
    assert pages.keys() == {"README.md", *(f"{each}.md" for each in RULES)}


def test_every_family_has_a_title(generator: dict[str, Any]) -> None:
    assert "Others" not in generator["make_pages"]()["README.md"]
