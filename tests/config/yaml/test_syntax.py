from __future__ import annotations

import pytest

from runner.config.source import Source
from runner.config.yaml.parser import parse_document
from runner.config.yaml.syntax import (
    ParserError,
    explain_syntax,
    find_lookalike,
    message_for,
)


def explain(text: str, problem: str, context: str, at: int, context_at: int = 0) -> str:
    return explain_syntax(text, ParserError(problem, context, at, context_at))[
        1
    ].message


def test_a_complaint_that_is_not_known_is_passed_on() -> None:
    complaint = ParserError("odd thing", "while reading", 2, 0)
    assert explain_syntax("a b", complaint) == (
        2,
        ("this is not YAML: odd thing", None),
    )


def test_an_open_quote_is_shown_where_it_opens() -> None:
    complaint = ParserError(
        "found unexpected end of stream", "while scanning a quoted scalar", 5, 3
    )
    offset, (message, _) = explain_syntax("a: 'x", complaint)
    assert (offset, message) == (3, "this quote is never closed")


def test_a_tab_is_only_blamed_where_it_indents() -> None:
    problem = "did not find expected key"
    assert explain("a:\n\tb: 1", problem, "", 3).startswith("a tab")
    assert not explain("a: 'x'\tb", problem, "", 6).startswith("a tab")


def test_both_wordings_of_the_parsers_are_known() -> None:
    for problem in (
        "mapping values are not allowed in this context",
        "mapping values are not allowed here",
    ):
        assert (
            explain("a: b: c", problem, "", 4) == "a `key: value` is not allowed here"
        )


def test_some_messages_quote_the_character() -> None:
    assert message_for("closer", "]").message == "unmatched `]`"
    assert (
        message_for("bracket", "{").help == "put `,` between entries and `}` at the end"
    )


@pytest.mark.parametrize(
    ("text", "is_below"),
    [
        ("prompt: |\n  You are a vet.\n Be kind.\n", True),
        ("prompt: |\n    You are a vet.\n  Be kind.\ntools: []\n", True),
        ("a:\n  prompt: >-\n    One.\n\n   Two.\n", True),
        ("prompt: |\n  You are a vet.\ntools:\n  - a\n - b\n", False),
        ("prompt: You are a vet.\n be: kind\n", False),
    ],
)
def test_a_line_below_a_text_block_is_explained(text: str, is_below: bool) -> None:
    _, findings = parse_document(Source("a.yaml", text))
    messages = [each.message for each in findings]
    assert any("than the text block" in each for each in messages) == is_below


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("name: t\nprompt:\u00a0You help.\n", 15, "no-break space (U+00A0)"),
        ("name: t\nprompt\uff1a You help.\n", 14, "full-width colon (U+FF1A)"),
        ("tools:\n  \u2013 plugin: x\n", 9, "en dash (U+2013)"),
        ("a:\n\u3000b: 1\n", 3, "ideographic space (U+3000)"),
    ],
)
def test_a_character_that_looks_like_one_of_yaml_is_named(
    text: str, place: int, name: str
) -> None:
    found = find_lookalike(text, len(text) - 2)
    assert found is not None
    assert found[0] == place
    assert name in found[1].message


@pytest.mark.parametrize(
    "text", ["prompt: You say\u00a0hi.\n", "a: 質問：答え\n", "- a\u2013b\n", "a: 1\n"]
)
def test_text_may_have_such_characters(text: str) -> None:
    assert find_lookalike(text, len(text) - 2) is None
