from __future__ import annotations

from pathlib import Path

from runner.config.document import parse_document
from runner.config.inspection import Inspection
from runner.config.nodes import Pointer
from runner.config.source import Source


def inspect(text: str, *unsound: Pointer) -> Inspection:
    document, _ = parse_document(Source("a.yaml", text))
    assert document is not None
    return Inspection(document, Path(), {}, None, frozenset(unsound))


def test_only_what_is_there_and_of_the_type_is_got() -> None:
    seen = inspect("a: {b: [x, 1]}\nc: true\n")
    assert seen.get(("a", "b", 0), str) == "x"
    assert seen.get(("a", "b", 1), str) is None
    assert seen.get(("a", "b", 2), str) is None
    assert seen.get(("a", 0), str) is None
    assert seen.get(("a", "b", "x"), str) is None
    assert seen.get(("c",), int) is None
    assert seen.get(("none", "deeper"), str) is None


def test_nothing_unsound_is_got() -> None:
    seen = inspect("a: {b: x}\nc: y\n", ("a",))
    assert seen.get(("a", "b"), str) is None
    assert seen.get(("c",), str) == "y"


def test_nothing_is_got_when_the_root_is_unsound() -> None:
    assert inspect("a: x\n", ()).get(("a",), str) is None


def test_what_the_parser_found_wrong_is_not_got() -> None:
    assert inspect("a: {b: !x y}\n").get(("a", "b"), str) is None


def test_only_tools_that_are_mappings_are_seen() -> None:
    seen = inspect("tools: [{a: 1}, x, {b: 2}]\n")
    assert list(seen.tools()) == [("tools", 0), ("tools", 2)]
    assert list(inspect("tools: 3\n").tools()) == []


def test_findings_point_at_the_key_the_value_or_the_start() -> None:
    seen = inspect("first: 1\na: {b: x}\n")
    for at in ("key", "value", "start"):
        seen.report(("a",), "VA999", "m", at=at)
    assert [(each.line, each.column) for each in seen.found] == [(2, 1), (2, 4), (2, 4)]
