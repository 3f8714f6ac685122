from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runner.cli.reports.common import PlacedEdit, placed_edits
from runner.config.diagnostics import Diagnostic, Edit, Fix, diagnose
from runner.config.lint.results import CheckedFile
from runner.config.source import Source, Span

AGENT = Source("a.yaml", "prompt_file: x\n")


def in_prompt(path: Path) -> Diagnostic:
    text = "Be *brief*.\nBe 😀 nice.\n"
    path.write_bytes(text.encode())
    at = text.index("😀")
    fix = Fix("take it away", (Edit(at, at + 2, ""), Edit(3, 10, "brief")))
    return diagnose(Source(str(path), text), Span(3, 10), "VA301", "x", fix=fix)


def test_a_fix_of_a_prompt_file_is_placed_by_its_text(tmp_path: Path) -> None:
    found = in_prompt(tmp_path / "x.md")
    assert placed_edits(CheckedFile(Path("a.yaml"), AGENT, (found,)), found) == [
        PlacedEdit(1, 4, 1, 11, "brief"),
        PlacedEdit(2, 4, 2, 6, ""),
    ]


def test_a_fix_of_a_file_that_is_gone_is_not_offered(tmp_path: Path) -> None:
    found = in_prompt(tmp_path / "x.md")
    gone = replace(found, path=str(tmp_path / "y.md"))
    assert placed_edits(CheckedFile(Path("a.yaml"), AGENT, (gone,)), gone) is None


def test_a_finding_without_a_fix_has_no_edits() -> None:
    found = diagnose(AGENT, Span(0, 1), "VA301", "x")
    assert placed_edits(CheckedFile(Path("a.yaml"), AGENT, (found,)), found) is None
