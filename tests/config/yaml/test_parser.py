from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config.source import Source, Span
from runner.config.yaml import parser as module
from runner.config.yaml.parser import Document, parse_document


def parse(text: str) -> Document:
    document, findings = parse_document(Source("a.yaml", text))
    assert document is not None
    assert findings == []
    return document


def at(document: Document, span: Span) -> str:
    return document.source.text[span.start : span.end]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(
            exclude_categories=["Cs", "Cc", "Cn"],
            # To YAML 1.1 these end a line, or begin a file.
            exclude_characters="\u2028\u2029\ufeff",
        ),
        max_size=20,
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcxyz_", min_size=1, max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_json_is_read_as_json(value: Any) -> None:
    assert parse(json.dumps(value, ensure_ascii=False)).value == value


@given(json_values)
def test_what_yaml_writes_is_read_back(value: Any) -> None:
    # Quoted and tagged: what is plain in PyYAML's YAML 1.1 may differ in 1.2.
    text = yaml.safe_dump(value, allow_unicode=True, width=30, default_style='"')
    assert parse(text).value == value


def walk(document: Document, path: tuple[str | int, ...], value: Any) -> None:
    """Check that the text at every scalar's place is that scalar."""
    if isinstance(value, dict):
        for key, each in value.items():
            assert json.loads(at(document, document.key_span((*path, key)))) == key
            walk(document, (*path, key), each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            walk(document, (*path, index), each)
    else:
        assert json.loads(at(document, document.value_span(path))) == value


@given(json_values, st.sampled_from([None, 2]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_the_text_at_a_place_is_what_is_there(
    value: Any, indent: int | None, line_end: str
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", line_end)
    walk(parse(text), (), value)


def test_places_hold_behind_emoji_tabs_and_windows_line_ends() -> None:
    document = parse('a: "😀😀"\r\nb:\t{c: "é", d:\t7}\r\n')
    span = document.value_span(("b", "d"))
    assert at(document, span) == "7"
    assert document.source.point(span.start) == (2, 16)


def test_anchors_and_tags_are_not_part_of_a_value() -> None:
    document = parse("a: &x !!str 7\nb: ! true\nc: &y\n  - 1\n")
    assert document.value == {"a": "7", "b": "true", "c": [1]}
    assert at(document, document.value_span(("a",))) == "7"
    assert at(document, document.value_span(("c",))) == "-"


def test_a_block_mapping_begins_at_its_first_key() -> None:
    document = parse("a:\n  first: 1\n  second: 2\n")
    assert at(document, document.start_span(("a",))) == "first"


def test_a_flow_mapping_begins_at_its_brace() -> None:
    document = parse("a: {first: 1}\n")
    assert at(document, document.start_span(("a",))) == "{"


def test_an_empty_value_is_shown_at_its_key() -> None:
    document = parse("a:\nb: 1\n")
    assert at(document, document.value_span(("a",))) == "a"


def test_an_alias_has_its_own_position() -> None:
    document = parse("a: &x {k: 1}\nb: *x\n")
    assert document.value == {"a": {"k": 1}, "b": {"k": 1}}
    assert at(document, document.value_span(("b",))) == "*x"
    assert document.source.point(document.value_span(("b", "k")).start) == (1, 11)


def test_a_merge_gives_way_to_what_is_written() -> None:
    document = parse("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n")
    assert document.value["b"] == {"k": 3, "l": 2}


def test_the_first_of_merged_mappings_wins() -> None:
    document = parse("a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {<<: [*x, *y]}\n")
    assert document.value["c"] == {"k": 1, "l": 2}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert parse('"<<": 1\n').value == {"<<": 1}


def test_both_parsers_give_the_same_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x [1, '2', |-\n"
    good = "a: &x [1, '2']\nb: *x\nc: |\n  text\nd: {e: .inf, e: !tag 2}\nf:\n"
    fast = [parse_document(Source("a", each)) for each in (text, good)]
    monkeypatch.setattr(module, "_new_parser", module._PurePythonParser)
    slow = [parse_document(Source("a", each)) for each in (text, good)]
    assert fast == slow


@pytest.mark.parametrize("depth", [40, 1000, 100_000])
def test_nesting_has_an_end(depth: int) -> None:
    for text in ("[" * depth, "- " * depth, "{a: " * depth, "? " * depth):
        document, findings = parse_document(Source("a.yaml", text))
        assert document is None
        assert findings


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    return "\n".join(lines)


def test_a_bomb_is_refused() -> None:
    document, findings = parse_document(Source("a.yaml", bomb(20)))
    assert document is None
    assert [each.rule for each in findings] == ["VA110"]


def test_a_bomb_of_long_texts_is_refused() -> None:
    text = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 100)}]\n"
    _, findings = parse_document(Source("a.yaml", text))
    assert [each.rule for each in findings] == ["VA110"]


def test_a_bomb_of_merges_is_refused() -> None:
    lines = ["m0: &m0 {k0: 1}"]
    for n in range(1, 2000):
        lines.append(f"m{n}: &m{n} {{<<: *m{n - 1}, k{n}: 1}}")
    _, findings = parse_document(Source("a.yaml", "\n".join(lines)))
    assert "VA110" in [each.rule for each in findings]


def test_a_deep_chain_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [1]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 50)]
    _, findings = parse_document(Source("a.yaml", "\n".join(lines)))
    assert [each.rule for each in findings] == ["VA110"]


def test_a_few_aliases_are_no_bomb() -> None:
    assert parse(bomb(3)).value["a2"][0][0][0] == "x"


yaml_like = st.lists(
    st.sampled_from(
        [
            *("a", "b: ", ": ", "- ", "? ", "\n", "\n  ", "\n    ", "[", "]", "{", "}"),
            *(", ", "&x ", "*x", "!!str ", "!t ", "<<: ", "'", '"', "|\n", ">-\n", "#"),
            *("1", "1.5", "true", "~", ".inf", "---\n", "...\n", "%YAML 1.2\n", "\t"),
            *("😀", "\\", "\\x", "\r\n", "\r", "\u2028", "\x85", "\ufeff", "${a}"),
        ]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


@settings(max_examples=200)
@given(yaml_like)
def test_any_text_is_a_document_or_findings_with_places_in_it(text: str) -> None:
    source = Source("a.yaml", text)
    document, findings = parse_document(source)
    assert document is not None or findings
    for each in findings:
        assert 1 <= each.line <= len(source._starts)
        assert 1 <= each.column <= len(source.line(each.line)) + 2
        assert (each.end_line, each.end_column) >= (each.line, each.column)
    if document is not None:
        json.dumps(document.value, allow_nan=False)


def test_a_lone_exclamation_mark_means_text() -> None:
    assert parse('a: ! 7\nb: ! "8"\nc: ! [9]\n').value == {"a": "7", "b": "8", "c": [9]}


def test_surrogate_pairs_are_read_as_json_writes_them() -> None:
    text = json.dumps({"a": "wave \U0001f44b\U0001f680 \\ud83d", "b": ["\U0001f44b"]})
    document, findings = parse_document(Source("a.json", text))
    assert findings == []
    assert document is not None
    assert document.value == json.loads(text)
    span = document.root.span
    assert text[slice(*span)] == text


@pytest.mark.parametrize("text", ["a: '\\ud83d\\udc4b'", "a: \\ud83d\\udc4b"])
def test_a_pair_outside_double_quotes_is_plain_text(text: str) -> None:
    document, findings = parse_document(Source("a.yaml", text))
    assert findings == []
    assert document is not None
    assert document.value == {"a": "\\ud83d\\udc4b"}
