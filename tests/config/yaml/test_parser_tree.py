from __future__ import annotations

import pytest

from runner.config.source import Source, Span
from runner.config.yaml.parser import ParseAborted, TreeBuilder


def builder(text: str = " " * 20) -> TreeBuilder:
    return TreeBuilder(Source("a.yaml", text), "begin with something")


def add(tree: TreeBuilder, text: str, anchor: str | None = None) -> None:
    tree.scalar(text, Span(0, 1), "", None, True, anchor)


def rules(tree: TreeBuilder) -> list[str]:
    return [each.rule for each in tree.findings]


def test_values_are_built_from_the_inside() -> None:
    tree = builder()
    tree.begin_mapping(Span(0, 1), False, None, None)
    add(tree, "a")
    tree.begin_list(Span(0, 1), True, None, None)
    add(tree, "1")
    tree.end(2)
    tree.end(3)
    root = tree.finish()
    assert root.value == {"a": [1]}
    assert root.depth == 3
    assert root.span == Span(0, 0)
    assert rules(tree) == []


def test_the_value_of_a_repeated_key_is_dropped() -> None:
    tree = builder()
    tree.begin_mapping(Span(0, 1), False, None, None)
    for text in ("a", "1", "a", "2", "b", "3"):
        add(tree, text)
    tree.end(1)
    assert tree.finish().value == {"a": 1, "b": 3}
    assert rules(tree) == ["VA102"]


def test_a_key_that_is_not_text_is_kept() -> None:
    tree = builder("1: x")
    tree.begin_mapping(Span(0, 4), False, None, None)
    add(tree, "1")
    add(tree, "x")
    tree.end(4)
    root = tree.finish()
    assert root.value == {"1": "x"}
    assert root.entries is not None
    assert root.entries["1"].node is not None
    assert root.entries["1"].node.is_broken
    assert rules(tree) == ["VA103"]


def test_an_anchor_can_be_given_again() -> None:
    tree = builder()
    tree.begin_list(Span(0, 1), True, None, None)
    add(tree, "1", "x")
    add(tree, "2", "x")
    tree.alias("x", Span(5, 7))
    tree.end(8)
    assert tree.finish().value == [1, 2, 2]


def test_a_second_document_stops_the_reading() -> None:
    tree = builder()
    add(tree, "1")
    with pytest.raises(ParseAborted):
        tree.begin_document(Span(3, 6))
    assert rules(tree) == ["VA106"]


def test_nothing_is_not_a_document() -> None:
    tree = builder()
    with pytest.raises(ParseAborted):
        tree.finish()
    assert rules(tree) == ["VA107"]


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("tag:yaml.org,2002:str", "1", "1"),
        ("tag:yaml.org,2002:int", "1", 1),
        ("tag:yaml.org,2002:float", "1", 1.0),
        ("tag:yaml.org,2002:bool", "true", True),
        ("tag:yaml.org,2002:null", "", None),
    ],
)
def test_the_tags_of_json_are_obeyed(tag: str, text: str, value: object) -> None:
    tree = builder()
    tree.scalar(text, Span(0, 1), '"', tag, False, None)
    found = tree.finish().value
    assert found == value
    assert type(found) is type(value)
    assert rules(tree) == []


@pytest.mark.parametrize(
    "tag",
    [
        "tag:yaml.org,2002:int",
        "tag:yaml.org,2002:timestamp",
        "!env",
        "!!python/name:os",
    ],
)
def test_other_tags_are_refused_and_their_value_is_unknown(tag: str) -> None:
    tree = builder()
    tree.scalar("x", Span(0, 1), "", tag, False, None)
    root = tree.finish()
    assert root.value is None
    assert root.is_broken
    assert rules(tree) == ["VA104"]
