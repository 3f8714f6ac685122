from __future__ import annotations

from runner.config.source import Span
from runner.config.yaml.nodes import Entry, Node


def mapping(start: int, *keys: str, style: str = "") -> Node:
    node = Node({}, Span(start, start + 9), style, entries={})
    for key in keys:
        node.put(
            Entry(key, Span(start, start + 1)), Node(1, Span(start + 3, start + 4))
        )
    return node


def test_children_are_found_by_key_and_by_index() -> None:
    inner = Node(7, Span(1, 2))
    items = Node([], Span(0, 3), "{", items=[])
    items.append(inner)
    assert items.child(0) is inner
    assert items.child(1) is None
    assert items.child("a") is None
    assert inner.child(0) is None
    assert mapping(0, "a").child("a") is not None
    assert mapping(0, "a").child("b") is None


def test_the_head_of_a_block_is_its_first_key_and_of_a_flow_its_bracket() -> None:
    assert mapping(4, "a").head == Span(4, 5)
    assert mapping(4, "a", style="{").head == Span(4, 5)
    assert Node([], Span(2, 8), "{", items=[]).head == Span(2, 3)
    assert Node("text", Span(2, 8)).head == Span(2, 8)


def test_an_alias_shares_the_value_and_has_its_own_place() -> None:
    node = mapping(0, "a")
    alias = node.alias(Span(20, 22))
    assert alias.value is node.value
    assert alias.head == Span(20, 22)
    assert alias.child("a") is node.child("a")


def test_an_inherited_key_has_the_position_of_the_merge() -> None:
    node = mapping(0, "a")
    other = mapping(50, "a", "b")
    assert other.entries is not None
    for entry in other.entries.values():
        node.inherit(entry, Span(30, 32))
    assert node.entries is not None
    assert node.entries["a"].key == Span(0, 1)
    assert node.entries["b"].key == Span(30, 32)
    assert node.value == {"a": 1, "b": 1}


def test_a_collection_ends_at_its_last_character() -> None:
    node = mapping(0)
    node.close(6, "a: 1\n\nb")
    assert node.span == Span(0, 4)
