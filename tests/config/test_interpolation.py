from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.interpolation import (
    Expander,
    Policy,
    find_placeholders,
    find_texts,
    policy,
)


def kinds(text: str) -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in find_placeholders(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain $ { } text", []),
        ("${a}", [("variable", "a")]),
        ("x${a_1}y${B}", [("variable", "a_1"), ("variable", "B")]),
        ("${env:TOKEN}", [("environment", "TOKEN")]),
        ("$${a}", [("escape", "")]),
        ("$$${a}", [("escape", "")]),
        ("${", [("malformed", "")]),
        ("${}", [("malformed", "")]),
        ("${1a}", [("malformed", "1a")]),
        ("${a b}", [("malformed", "a b")]),
        ("${a:-b}", [("malformed", "a:-b")]),
        ("${env:}", [("malformed", "env:")]),
        ("${größe}", [("malformed", "größe")]),
        ("${a\n}", [("malformed", "")]),
        ("{a}", []),
    ],
)
def test_placeholders_are_distinguished(
    text: str, found: list[tuple[str, str]]
) -> None:
    assert kinds(text) == found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("prompt",), "text"),
        (("greeting",), "text"),
        (("voice",), "text"),
        (("voice", "name"), "text"),
        (("key_terms", 0), "text"),
        (("transcription", "prompt"), "text"),
        (("tools", 0, "description"), "text"),
        (("tools", 0, "announce"), "text"),
        (("tools", 0, "http", "url"), "secret"),
        (("tools", 0, "http", "headers", "A"), "secret"),
        (("tools", 0, "http", "query", "a"), "secret"),
        (("tools", 0, "serial", "port"), "secret"),
        (("tools", 0, "plugin", "region"), "secret"),
        (("service", "url"), "secret"),
        (("local", "llm", "key"), "secret"),
        (("local", "llm", "url"), "secret"),
        (("local", "llm", "model"), "text"),
        (("name",), "literal"),
        (("prompt_file",), "literal"),
        (("variables", "a", "default"), "literal"),
        (("tools", 0, "python"), "literal"),
        (("tools", 0, "plugin"), "literal"),
        (("tools", 0, "plugin", "name"), "literal"),
        (("tools", 0, "parameters", "properties", "a", "pattern"), "literal"),
        (("tools", 0, "http", "method"), "literal"),
        (("turn_detection", "min_silence"), "literal"),
    ],
)
def test_where_placeholders_may_stand(
    path: tuple[str | int, ...], expected: Policy
) -> None:
    assert policy(path) == expected


def test_only_texts_that_may_hold_placeholders_are_found() -> None:
    value = {"name": "n", "prompt": "p", "tools": [{"python": "a", "announce": "b"}]}
    assert list(find_texts(value)) == [
        (("prompt",), "p"),
        (("tools", 0, "announce"), "b"),
    ]


def test_placeholders_are_replaced_and_secrets_remembered() -> None:
    expander = Expander({"a": "1"}, {"K": "key", "L": "unused"})
    value = {
        "greeting": "$${a} is ${a}",
        "name": "${a}",
        "service": {"url": "wss://${env:K}"},
        "voice": {"volume": 3},
    }
    assert expander.expand(value) == {
        "greeting": "${a} is 1",
        "name": "${a}",
        "service": {"url": "wss://key"},
        "voice": {"volume": 3},
    }
    assert expander.secrets == {"key"}


def test_an_unchecked_placeholder_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="unchecked"):
        Expander({}, {}).expand_text("${a b}")


@given(st.lists(st.text("${}abenv:", max_size=4)).map("".join))
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert Expander({}, {}).expand_text(text.replace("${", "$${")).count(
        "${"
    ) == text.count("${")


@given(st.text("${}ab ", max_size=12), st.text("${}ab", max_size=5))
def test_values_are_never_expanded_again(text: str, value: str) -> None:
    plain = text.replace("$", "")
    expander = Expander({"v": value}, {})
    assert expander.expand_text(f"{plain}${{v}}{plain}") == plain + value + plain
