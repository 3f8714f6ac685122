from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.cli.reports.common import all_rules
from runner.config.diagnostics import diagnose
from runner.config.lint.selection import Settings, build_selection, find_rules
from runner.config.source import Source, Span
from runner.errors import UsageError

SOURCE = Source("a.yaml", "x")
FOUND = [
    diagnose(SOURCE, Span(0, 1), "VA102", "x"),
    diagnose(SOURCE, Span(0, 1), "VA203", "x"),
    diagnose(SOURCE, Span(0, 1), "VA302", "x", severity="warning"),
]


def kept(path: str = "a.yaml", **settings: Any) -> list[str]:
    selection = build_selection(Settings(**settings), all_rules)
    return [each.rule for each in selection.apply(Path(path), FOUND)]


def test_without_settings_everything_counts() -> None:
    assert kept() == ["VA102", "VA203", "VA302"]


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        (("VA2",), (), ["VA203"]),
        (("va203", "repeated-key"), (), ["VA102", "VA203"]),
        (("VA",), ("VA3",), ["VA102", "VA203"]),
        ((), ("Unknown-Key",), ["VA102", "VA302"]),
        (("VA203",), ("VA203",), []),
    ],
)
def test_rules_are_chosen_by_id_head_or_name(
    select: tuple[str, ...], ignore: tuple[str, ...], expected: list[str]
) -> None:
    assert kept(select=select, ignore=ignore) == expected


def test_strictly_warnings_are_errors() -> None:
    selection = build_selection(Settings(strict=True), all_rules)
    found = [*FOUND, diagnose(SOURCE, Span(0, 1), "VA512", "x", severity="warning")]
    kept = selection.apply(Path("a.yaml"), found)
    assert [each.rule for each in kept if each.is_error] == ["VA102", "VA203", "VA512"]


def test_some_files_are_let_off_some_rules(tmp_path: Path) -> None:
    ignores = {"old/*.yaml": ("VA203",), "a.yaml": ("VA3",)}
    settings = {"per_file_ignores": ignores, "folder": tmp_path}
    assert kept(str(tmp_path / "old" / "a.yaml"), **settings) == ["VA102"]
    assert kept(str(tmp_path / "old" / "b.yaml"), **settings) == ["VA102", "VA302"]
    assert kept(str(tmp_path / "b.yaml"), **settings) == ["VA102", "VA203", "VA302"]


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("VA2O3", "did you mean VA203?"),
        ("unknown-kye", "did you mean unknown-key?"),
        ("zzzzzzzz", "vagent validate --rules lists them"),
        ("", "vagent validate --rules lists them"),
    ],
)
def test_an_unknown_rule_is_reported_with_the_nearest(selector: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"unknown rule '{selector}'") as caught:
        find_rules(selector, all_rules)
    assert (caught.value.hint or "").startswith(hint)
