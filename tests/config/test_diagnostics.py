from __future__ import annotations

import pytest

from runner.config.diagnostics import Diagnostic, diagnose, quoted, render
from runner.config.source import Source, Span


def shown(text: str, start: int, end: int, help_: str | None = None) -> list[str]:
    found = diagnose(Source("a.yaml", text), Span(start, end), "VA999", "odd", help_)
    return render([found]).split("\n")


def test_a_finding_is_a_line_an_excerpt_a_caret_range_and_a_help() -> None:
    assert shown("one: 1\ntwo: 2\n", 7, 10, "remove it") == [
        "a.yaml:2:1: error: odd [VA999]",
        "  2 | two: 2",
        "    | ^^^",
        "    = help: remove it",
        "",
    ]


def test_findings_sort_by_file_then_place() -> None:
    source = Source("b.yaml", "ab\ncd")
    late = diagnose(source, Span(4, 5), "VA101", "x")
    early = diagnose(source, Span(0, 1), "VA900", "x")
    other = diagnose(Source("a.yaml", "ab"), Span(1, 2), "VA999", "x")
    assert sorted([late, early, other]) == [other, early, late]


def test_a_finding_cannot_be_changed() -> None:
    found = diagnose(Source("a", "x"), Span(0, 1), "VA101", "x")
    with pytest.raises(AttributeError):
        found.line = 2  # type: ignore[misc]  # the point of the test


def test_only_an_error_fails_a_file() -> None:
    source = Source("a", "x")
    warning = diagnose(source, Span(0, 1), "VA302", "x", severity="warning")
    assert not warning.is_error
    assert "warning: x" in render([warning])


def test_carets_stand_under_wide_characters() -> None:
    _, line, caret, _ = shown("k: 你好x\n", 4, 5)
    assert line == "  1 | k: 你好x"
    assert caret == "    | " + " " * 5 + "^^"


def test_carets_pass_over_characters_without_width() -> None:
    _, line, caret, _ = shown("e\u0301: x\n", 4, 5)
    assert (line, caret) == ("  1 | e\u0301: x", "    |    ^")


def test_tabs_stay_tabs_so_that_carets_fit_at_any_tab_width() -> None:
    _, line, caret, _ = shown("a:\tb\n", 3, 4)
    assert (line, caret) == ("  1 | a:\tb", "    |   \t^")


def test_an_empty_range_still_has_one_caret() -> None:
    assert shown("abc", 3, 3)[2] == "    |    ^"


def test_a_range_over_lines_is_marked_to_the_end_of_its_first() -> None:
    assert shown("a: |\n b\n", 3, 7)[2] == "    |    ^"


def test_a_long_line_is_cut_around_the_finding() -> None:
    _, line, caret, _ = shown("x" * 500 + "HERE" + "y" * 500, 500, 504)
    assert len(line) < 130
    at = caret.index("^")
    assert line[at : at + 4] == "HERE"
    assert line.startswith("  1 | …")
    assert line.endswith("…")


@pytest.mark.parametrize("bad", ["\x1b[31m", "\x9b", "\u202e", "\ud800", "\r"])
def test_nothing_in_a_file_steers_the_terminal(bad: str) -> None:
    found = Diagnostic(
        f"a{bad}", 1, 1, 1, 2, "VA999", "error", f"m{bad}", f"h{bad}", excerpt=f"e{bad}"
    )
    assert bad[0] not in render([found])
    assert bad[0] not in quoted(bad)


def test_values_are_quoted_as_json_and_shortened() -> None:
    assert quoted("Grüße") == '"Grüße"'
    assert quoted(1.5) == "1.5"
    assert len(quoted("x" * 500)) == 60


def test_no_findings_are_no_text() -> None:
    assert render([]) == ""
