from __future__ import annotations

from typing import Any

from runner.config.diagnostics import Finding
from runner.config.schema import find_violations
from runner.config.schema_errors import to_findings
from runner.config.source import Source
from runner.config.yaml.parser import parse_document


def verdict(text: str, schema: dict[str, Any]) -> list[tuple[str, Finding]]:
    document, _ = parse_document(Source("a.yaml", text))
    assert document is not None
    return to_findings(document, find_violations(document.value, schema))


def said(text: str, schema: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [
        (*found.place.source.point(found.place.span.start), found.message)
        for _, found in verdict(text, schema)
    ]


CLOSED = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_each_unknown_key_has_its_own_finding() -> None:
    assert said("name: a\nx1: 1\nx2: 2\n", CLOSED) == [
        (2, 1, "unknown key `x1`"),
        (3, 1, "unknown key `x2`"),
    ]


def test_a_misspelt_key_is_not_also_missing() -> None:
    assert said("nmae: a\n", CLOSED) == [(1, 1, "unknown key `nmae`")]


def test_several_missing_keys_are_one_finding() -> None:
    schema = {"required": ["a", "b"]}
    assert said("c: 1\n", schema) == [(1, 1, "`a` and `b` are missing")]


def test_one_value_has_one_finding() -> None:
    schema = {"properties": {"a": {"minimum": 5, "multipleOf": 2, "enum": [6, 8]}}}
    assert len(said("a: 3\n", schema)) == 1


def test_what_has_a_finding_gets_no_second_one() -> None:
    schema = {"properties": {"a": {"type": "number"}}, "additionalProperties": False}
    assert said("a: .inf\n1: 2\n", schema) == []


def test_paths_that_cannot_be_relied_on_are_named() -> None:
    found = verdict("name: 3\nsize: big\nx: 1\n", CLOSED)
    assert {each.invalidates for _, each in found} == {("name",), ("size",), ("x",)}


def test_the_first_surplus_item_is_marked() -> None:
    schema = {"properties": {"a": {"maxItems": 2}}}
    assert said("a: [1, 2, 3, 4]\n", schema) == [
        (1, 11, "`a` has 4 items; the maximum is 2"),
    ]


def test_the_second_of_equal_items_is_marked() -> None:
    schema = {"properties": {"a": {"uniqueItems": True}}}
    assert said("a: [{x: 1}, 2, {x: 1}]\n", schema) == [
        (1, 16, "`a` has a mapping twice"),
    ]


def test_findings_can_be_put_below_a_path() -> None:
    document, _ = parse_document(Source("a.yaml", "p: {q: x}\n"))
    assert document is not None
    violations = find_violations({"q": "x"}, {"properties": {"q": {"type": "null"}}})
    ((_, found),) = to_findings(document, violations, above=("p",))
    assert (found.place.span.start, found.invalidates) == (7, ("p", "q"))


def test_a_misspelled_key_can_be_fixed() -> None:
    ((rule, found),) = verdict("nmae: a\n", CLOSED)
    assert rule == "VA203"
    assert found.fix is not None
    assert [(each.start, each.end, each.text) for each in found.fix.edits] == [
        (0, 4, "name")
    ]


def test_a_misspelled_key_next_to_the_right_one_has_no_fix() -> None:
    ((_, found),) = verdict("name: a\nnmae: b\n", CLOSED)
    assert found.fix is None
