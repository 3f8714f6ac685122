"""docs/errors.md says what the client's tables say."""

from __future__ import annotations

import runpy
from pathlib import Path

from runner.protocol.client.recovery import CLOSES, ERRORS, REFUSALS

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "errors.md").read_text("utf-8")


def test_the_page_is_what_the_tables_make_of_it() -> None:
    make_page = runpy.run_path(str(DOCS / "make_errors.py"))["make_page"]

    assert make_page() == PAGE, "run: make docs"


def test_every_code_has_a_row() -> None:
    rows = {line.split("|")[1].strip() for line in PAGE.splitlines() if "|" in line}

    assert {f"`{code}`" for code in (*ERRORS, *CLOSES, *REFUSALS)} <= rows
