from __future__ import annotations

from runner.config.syntax import explain_syntax


def test_a_complaint_that_is_not_known_is_passed_on() -> None:
    assert explain_syntax("a b", "odd thing", "while reading", 2, 0) == (
        2,
        "this is not YAML: odd thing",
        None,
    )


def test_an_open_quote_is_shown_where_it_opens() -> None:
    offset, message, _ = explain_syntax(
        "a: 'x",
        "found unexpected end of stream",
        "while scanning a quoted scalar",
        5,
        3,
    )
    assert (offset, message) == (3, "this quote is never closed")


def test_a_tab_is_only_blamed_where_it_indents() -> None:
    problem = "did not find expected key"
    assert explain_syntax("a:\n\tb: 1", problem, "", 3, 0)[1].startswith("a tab")
    assert not explain_syntax("a: 'x'\tb", problem, "", 6, 0)[1].startswith("a tab")


def test_both_wordings_of_the_parsers_are_known() -> None:
    for problem in (
        "mapping values are not allowed in this context",
        "mapping values are not allowed here",
    ):
        assert explain_syntax("a: b: c", problem, "", 4, 4)[1] == (
            "a `key: value` cannot stand here"
        )
