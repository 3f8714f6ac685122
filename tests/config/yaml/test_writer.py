from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.source import Source
from runner.config.yaml.parser import parse_document
from runner.config.yaml.writer import write_scalar, write_yaml

TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    st.text("ab :#-\n{}[]'\"|>&*!%@`,?~\t", max_size=20),
    st.sampled_from(["", "yes", "1", "null", "- a", "a: b", " a", "\n", "=", "<<"]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=12,
)


def read(text: str) -> Any:
    document, findings = parse_document(Source("", text))
    assert document is not None, findings
    return document.value


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4))
def test_the_written_text_is_read_as_the_same_value(value: dict[str, Any]) -> None:
    assert read(write_yaml(value)) == value


@pytest.mark.parametrize("text", ["Hello there", "a/b.c", "it's", "yes"])
def test_an_ordinary_text_is_quoted_only_if_necessary(text: str) -> None:
    needs_quotes = text in ("it's", "yes")
    assert write_scalar(text) == (f'"{text}"' if needs_quotes else text)


def test_a_long_text_is_a_block() -> None:
    text = write_yaml({"prompt": "You are brief.\n\nAnswer in one sentence."})
    assert text == "prompt: |-\n  You are brief.\n\n  Answer in one sentence.\n"
