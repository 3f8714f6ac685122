from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from runner.config.diagnostics import Diagnostic, Edit, Fix, diagnose
from runner.config.lint.fixes import Change, apply_edits, apply_fixes
from runner.config.source import Source, Span


def finding(
    text: str, start: int, end: int, *edits: Edit, rule: str = "VA203"
) -> Diagnostic:
    fix = Fix("replace it", edits or (Edit(start, end, ""),))
    return diagnose(Source("a", text), Span(start, end), rule, "odd", fix=fix)


def words(text: str) -> list[Diagnostic]:
    """Every `old` is an error that a fix makes `new`; a `bad` is one without a fix."""
    return sorted([*_old(text), *_bad(text)])


def _old(text: str) -> Iterator[Diagnostic]:
    for found in re.finditer("old", text):
        yield finding(text, *found.span(), Edit(*found.span(), "new"))


def _bad(text: str) -> Iterator[Diagnostic]:
    for found in re.finditer("bad", text):
        yield diagnose(Source("a", text), Span(*found.span()), "VA201", "odd")


def everything(found: Diagnostic) -> bool:
    return found.fix is not None


def test_every_fix_is_made_and_nothing_else_is_touched() -> None:
    done = apply_fixes("old  # old\n\told bad\n", words, allows=everything)
    assert done.text == "new  # new\n\tnew bad\n"
    assert [each.line for each in done.changes] == [1, 1, 2]
    assert [each.rule for each in done.findings] == ["VA201"]
    assert done.refused == ()


def test_what_is_not_allowed_is_left() -> None:
    done = apply_fixes("old\nold\n", words, allows=lambda found: found.line == 2)
    assert done.text == "old\nnew\n"


def test_of_overlapping_fixes_the_first_is_made_and_the_rest_is_looked_at_again() -> (
    None
):
    def check(text: str) -> list[Diagnostic]:
        if text == "abcd":
            return [
                finding(text, 0, 3, Edit(0, 3, "x"), rule="VA201"),
                finding(text, 1, 4, Edit(1, 4, "y"), rule="VA202"),
            ]
        if text == "xd":
            return [finding(text, 1, 2, Edit(1, 2, "z"), rule="VA202")]
        return []

    done = apply_fixes("abcd", check, allows=everything)
    assert done.text == "xz"
    assert [each.rule for each in done.changes] == ["VA201", "VA202"]


def test_a_fix_of_several_edits_is_made_whole_or_not_at_all() -> None:
    def check(text: str) -> list[Diagnostic]:
        if text != "a b c":
            return []
        return [
            finding(text, 0, 1, Edit(2, 3, "B")),
            finding(text, 1, 2, Edit(0, 1, "A"), Edit(2, 3, "X")),
        ]

    assert apply_fixes("a b c", check, allows=everything).text == "a B c"


def test_a_fix_that_brings_more_errors_is_not_made_and_the_others_are() -> None:
    def check(text: str) -> list[Diagnostic]:
        found = words(text)
        if "trap" in text:
            at = text.index("trap")
            edit = Edit(at, at + 4, "bad bad")
            found.append(finding(text, at, at + 4, edit, rule="VA205"))
        return sorted(found)

    done = apply_fixes("trap\nold\n", check, allows=everything)
    assert done.text == "trap\nnew\n"
    assert done.refused == (Change(1, "VA205", "replace it"),)
    assert apply_fixes(done.text, check, allows=everything).text == done.text


def test_a_text_that_can_no_longer_be_read_is_worse_than_any_number_of_errors() -> None:
    def check(text: str) -> list[Diagnostic]:
        if text == "broken":
            return [finding(text, 0, 1, rule="VA101")]
        return [
            finding(text, 0, 1, Edit(0, len(text), "broken"), rule="VA203"),
            *_bad(text),
        ]

    assert apply_fixes("bad bad bad", check, allows=everything).text == "bad bad bad"


def test_a_text_that_can_be_read_again_may_show_more_errors() -> None:
    def check(text: str) -> list[Diagnostic]:
        if text.startswith("\t"):
            return [finding(text, 0, 1, Edit(0, 1, "  "), rule="VA101")]
        return list(_bad(text))

    done = apply_fixes("\tbad bad", check, allows=everything)
    assert done.text == "  bad bad"


def test_a_fix_that_changes_nothing_is_not_a_fix() -> None:
    def check(text: str) -> list[Diagnostic]:
        return [finding(text, 0, 1, Edit(0, 1, text[:1]))]

    done = apply_fixes("a", check, allows=everything)
    assert (done.text, done.changes) == ("a", ())


def test_fixes_that_never_end_are_given_up_on() -> None:
    def check(text: str) -> list[Diagnostic]:
        return [finding(text, 0, 0, Edit(0, 0, "x"))]

    assert len(apply_fixes("", check, allows=everything).text) <= 400


def test_lines_are_those_of_the_first_text() -> None:
    def check(text: str) -> list[Diagnostic]:
        if not text.startswith("#"):
            return [finding(text, 0, 0, Edit(0, 0, "# one\n# two\n"), rule="VA115")]
        return words(text)

    done = apply_fixes("a\nb old\n", check, allows=everything)
    assert [(each.line, each.rule) for each in done.changes] == [
        (1, "VA115"),
        (2, "VA203"),
    ]


@pytest.mark.parametrize(
    ("title", "done"),
    [
        ("replace `a` by `b`", "replaced `a` by `b` [VA1]"),
        ("take the comment away", "took the comment away [VA1]"),
        ("put it in quotes", "put it in quotes [VA1]"),
        ("insert a modeline", "inserted a modeline [VA1]"),
    ],
)
def test_made_fixes_are_reported_in_the_past_tense(title: str, done: str) -> None:
    assert Change(1, "VA1", title).done == done


def test_edits_are_offsets_into_the_same_text() -> None:
    edits = [Edit(4, 5, ""), Edit(0, 1, "long"), Edit(2, 2, "+")]
    assert apply_edits("a b c", edits) == "long +b "
