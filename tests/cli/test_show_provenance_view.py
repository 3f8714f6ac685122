"""The YAML of `vagent show` is read back as the same values."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from runner.cli.show import annotate, describe_origin
from runner.config.provenance import Origin, TracedConfig, Use
from runner.config.source import Source
from runner.config.yaml.parser import parse_document

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
SCALARS = (
    TEXTS
    | st.sampled_from(["yes", "Null", "8s", "1_0", "a: b", "a:b", "- x", "#", "a #b"])
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


def read(values: dict[str, Any]) -> Any:
    text = "\n".join(annotate(TracedConfig(values, {(): Origin("file", line=1)})))
    document, found = parse_document(Source("shown.yaml", text))
    assert document is not None, (text, found)
    return document.value


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
@example({"a": "one\n\n two\n", "b": ["x" * 90], "c": [{}], "d": [[]]})
@example({"a": "\n\n", "b": "one\ntwo", "c": "one\n \ntwo", "d": " one\ntwo"})
@example({"a": [{"b": {}}, [1, "x" * 90]], "c": {"d": [{"e": []}]}})
@example({"a": "x" * 90 + "\x85" + "\u2028", "b": "😀 \x00 \x7f"})
def test_every_value_is_read_back_unchanged(values: dict[str, Any]) -> None:
    assert read(values) == values


def test_a_key_without_a_value_is_a_comment() -> None:
    traced = TracedConfig(
        {"voice": {"name": "alba", "volume": None}, "greeting": None},
        {
            ("voice", "name"): Origin("file", line=3),
            ("voice", "volume"): Origin("service"),
            ("greeting",): Origin("service"),
        },
    )
    assert [" ".join(line.split()) for line in annotate(traced)] == [
        "voice:",
        "name: alba # line 3",
        "# volume: the service's own",
        "# greeting: the service's own",
    ]


def test_a_mapping_without_any_value_is_a_comment_as_a_whole() -> None:
    traced = TracedConfig(
        {"a": 1, "b": {"c": None, "d": {"e": None}}}, {(): Origin("unset")}
    )
    assert list(annotate(traced))[1:] == [
        "# b:",
        "#   c: not set",
        "#   d:",
        "#     e: not set",
    ]


def test_each_value_has_its_origin() -> None:
    uses = (Use("company", "default", 20), Use("env:KEY", "unset"))
    said = {
        "line 4; ${company}: default, line 20; ${env:KEY}: not set": Origin(
            "file", line=4, uses=uses
        ),
        "prompts/a.md": Origin("file", "prompts/a.md", 1),
        "--var": Origin("given"),
        "default: no limit": Origin("default", detail="no limit"),
        "tools/a.py:7, signature": Origin("signature", "tools/a.py", 7),
        "tools/a.py:7, docstring": Origin("docstring", "tools/a.py", 7),
        "tools/a.py:7, @tool": Origin("mark", "tools/a.py", 7),
        "the plugin end_call": Origin("plugin", detail="end_call"),
    }
    assert {words: describe_origin(origin) for words, origin in said.items()} == {
        words: words for words in said
    }


def test_comments_alone_are_dimmed() -> None:
    traced = TracedConfig({"a": 1}, {("a",): Origin("given")})
    assert list(annotate(traced, lambda text: f"<{text}>")) == [
        f"{'a: 1':<42}  <# --var>"
    ]
