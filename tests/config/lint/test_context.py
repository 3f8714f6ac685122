from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.lint.context import RuleContext
from runner.config.source import Source
from runner.config.yaml.nodes import Pointer
from runner.config.yaml.parser import parse_document


def inspect(text: str, *invalid_paths: Pointer) -> RuleContext:
    document, _ = parse_document(Source("a.yaml", text))
    assert document is not None
    return RuleContext(document, Path(), {}, None, frozenset(invalid_paths))


def test_only_what_is_there_and_of_the_type_is_got() -> None:
    seen = inspect("a: {b: [x, 1]}\nc: true\n")
    assert seen.get(("a", "b", 0), str) == "x"
    assert seen.get(("a", "b", 1), str) is None
    assert seen.get(("a", "b", 2), str) is None
    assert seen.get(("a", 0), str) is None
    assert seen.get(("a", "b", "x"), str) is None
    assert seen.get(("c",), int) is None
    assert seen.get(("none", "deeper"), str) is None


def test_an_invalid_value_is_not_returned() -> None:
    seen = inspect("a: {b: x}\nc: y\n", ("a",))
    assert seen.get(("a", "b"), str) is None
    assert seen.get(("c",), str) == "y"


def test_nothing_is_returned_when_the_root_is_invalid() -> None:
    assert inspect("a: x\n", ()).get(("a",), str) is None


def test_what_the_parser_found_wrong_is_not_got() -> None:
    assert inspect("a: {b: !x y}\n").get(("a", "b"), str) is None


def test_only_tools_that_are_mappings_are_seen() -> None:
    seen = inspect("tools: [{a: 1}, x, {b: 2}]\n")
    assert list(seen.tools()) == [("tools", 0), ("tools", 2)]
    assert list(inspect("tools: 3\n").tools()) == []


def test_places_are_the_key_the_value_and_the_start() -> None:
    seen = inspect("first: 1\na: {b: x}\n")
    text = seen.document.source.text
    places = [seen.key(("a",)), seen.value(("a", "b")), seen.start(("a",))]
    assert [text[slice(*each.span)] for each in places] == ["a", "x", "{"]


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("a: one two one\n", "two"),
        ("a: 'one two'\n", "two"),
        ('a: "one two"\n', "two"),
        ('a: "one \\x74wo"\n', '"one \\x74wo"'),
        ("a: |\n  one\n  two\n", "two"),
        ("a: >-\n  one\n  two\n", "two"),
        ("a: one\n  two\n", "two"),
    ],
)
def test_a_part_of_a_text_has_its_own_place(text: str, mark: str) -> None:
    seen = inspect(text)
    value = seen.get(("a",), str) or ""
    at = value.index("two")
    assert text[slice(*seen.part(("a",), at, at + 3).span)] == mark


def test_of_equal_parts_the_one_of_the_same_rank_is_meant() -> None:
    seen = inspect("a: |\n  x one\n  y one\n")
    place = seen.part(("a",), 8, 11)
    assert place.source.point(place.span.start) == (3, 5)


def test_through_an_alias_both_places_are_known() -> None:
    seen = inspect("a: &x {b: 1}\nc: *x\n")
    place = seen.value(("c", "b"))
    assert place.source.point(place.span.start) == (1, 11)
    assert [(each.line, each.column) for each in place.related] == [(2, 4), (1, 7)]


def test_a_fact_is_found_out_once() -> None:
    asked: list[RuleContext] = []

    def find(inspection: RuleContext) -> int:
        asked.append(inspection)
        return 7

    seen = inspect("a: 1\n")
    assert (seen.fact(find), seen.fact(find), len(asked)) == (7, 7, 1)
