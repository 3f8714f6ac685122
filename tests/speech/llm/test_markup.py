"""Thoughts, tool calls and links in what a model writes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.speech.llm.markup import MarkupFilter, without_links


def filtered(pieces: list[str]) -> str:
    markup = MarkupFilter()
    return "".join([*map(markup.feed, pieces), markup.finish()])


def test_reasoning_and_markup_are_removed() -> None:
    assert filtered(["<thi", "nk>hm, **so**</th", "ink>It is ", "**18** `deg`"]) == (
        "It is 18 deg"
    )


def test_a_character_that_only_starts_like_a_tag_stays() -> None:
    assert filtered(["1 <", " 2 and 3 <th"]) == "1 < 2 and 3 <th"


def test_unclosed_reasoning_is_never_spoken() -> None:
    assert filtered(["Hello. <think>secret"]) == "Hello. "


@given(st.text("<think>/ ab", max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_the_size_of_the_pieces_does_not_matter(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert filtered(pieces) == filtered([text])


HELLO = "Hello caller."
THOUGHTS = [
    "<think>secret plan</think>",
    "<THINK>secret plan</THINK>",
    "<thinking>secret plan</thinking>",
    "<thought>secret plan</thought>",
    '<think type="deep">secret plan</think>',
    "[THINK]secret plan[/THINK]",
    "<reasoning>secret <b>plan</b></reasoning>",
    "<|channel|>analysis<|message|>secret plan<|end|>",
    "<|start|>assistant<|channel|>analysis<|message|>secret plan<|end|>"
    "<|start|>assistant<|channel|>final<|message|>",
    "<|channel|>commentary<|message|>secret plan<|end|>",
]


def in_every_size(text: str) -> Iterator[str]:
    """Yields what is spoken of a text that comes in pieces of 1, 2, ... characters."""
    for size in (1, 2, 3, 5, 7, 11, 1_000):
        markup = MarkupFilter()
        spoken = ""
        for start in range(0, len(text), size):
            spoken += markup.feed(text[start : start + size])
        yield spoken + markup.finish()


@pytest.mark.parametrize("thought", THOUGHTS)
def test_a_thought_is_silent_in_every_form(thought: str) -> None:
    for spoken in in_every_size(thought + HELLO):
        assert spoken == HELLO
    for spoken in in_every_size("Well. " + thought + HELLO):
        assert spoken == "Well. " + HELLO


CALL = '{"name": "weather", "arguments": {"city": "Oslo"}}'
OTHER = '{"name": "weather", "arguments": {"city": "Rome"}}'
CALLS = [
    (CALL, 1),
    (f"{CALL}\n{OTHER}", 2),
    (f"{CALL}; {OTHER}", 2),
    (f"[{CALL}, {OTHER}]", 2),
    (f"<tool_call>\n{CALL}\n</tool_call>", 1),
    (f"<tool_call>{CALL}</tool_call><tool_call>{OTHER}</tool_call>", 2),
    (f"<tool_call>{CALL}", 1),
    (f"[TOOL_CALLS] [{CALL}, {OTHER}]", 2),
    ('[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}', 1),
    (
        '[TOOL_CALLS]weather[CALL_ID]x1[ARGS]{"city": "Oslo"}'
        'weather[ARGS]{"city": "Rome"}',
        2,
    ),
    (f"<|python_tag|>{CALL}<|eom_id|>", 1),
    (f"```json\n{CALL}\n```", 1),
    (f"```tool_call\n{CALL}\n```", 1),
    ('<function=weather>{"city": "Oslo"}</function>', 1),
    (
        "<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n"
        "</function>\n</tool_call>",
        1,
    ),
    (
        "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"
        '{"city": "Oslo"}<|call|>',
        1,
    ),
    (
        "<|start|>assistant to=functions.weather<|channel|>commentary json<|message|>"
        '{"city": "Oslo"}<|call|>',
        1,
    ),
    ('{"function": {"name": "weather", "arguments": {"city": "Oslo"}}}', 1),
    ('{"tool": "weather", "args": {"city": "Oslo"}}', 1),
    ('{"tool_calls": [{"type": "function", "function": ' + CALL + "}]}", 1),
]


@pytest.mark.parametrize(("text", "number"), CALLS)
def test_a_tool_call_in_the_text_is_a_call_and_silent(text: str, number: int) -> None:
    for before in ("", "Let me check. "):
        for size in (1, 3, 8, 1_000):
            markup = MarkupFilter()
            whole = before + text
            spoken = ""
            for start in range(0, len(whole), size):
                spoken += markup.feed(whole[start : start + size])
            spoken += markup.finish()
            assert spoken.strip() == before.strip()
            assert [call.name for call in markup.calls] == ["weather"] * number
            cities = [json.loads(call.arguments)["city"] for call in markup.calls]
            assert cities == ["Oslo", "Rome"][:number]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Your code is [1].", "Your code is [1]."),
        ('He said "[hello]".', 'He said "[hello]".'),
        ("a < b and b > c", "a < b and b > c"),
        ("Use `pip`, please.", "Use pip, please."),
        ("```text\nYour code is 12.\n```", "Your code is 12.\n"),
        ('Set {"a": 1} now', 'Set {"a": 1} now'),
        ("Press {enter}.", "Press {enter}."),
    ],
)
def test_text_that_only_looks_like_markup_is_spoken(text: str, spoken: str) -> None:
    for each in in_every_size(text):
        assert each == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("See [our site](https://example.com/a?b=1).", "See our site."),
        ('See [our site](https://e.com/a_(b) "The title").', "See our site."),
        ("See https://www.example.com/a?b=1.", "See example.com."),
        ("See <https://example.com/a/b/>, please.", "See example.com, please."),
        ("Go to http://example.com:8080/x!", "Go to example.com!"),
        ("![a plan](plan.png) is sent", "a plan is sent"),
    ],
)
def test_links_are_spoken_as_words_and_addresses_as_hosts(
    text: str, spoken: str
) -> None:
    assert without_links(text) == spoken


def test_an_end_without_a_beginning_makes_the_text_before_a_thought() -> None:
    markup = MarkupFilter()
    assert markup.feed("secret plan\n</think>\n\nHello") == "\n\nHello"
    assert markup.ended_stray


def test_an_assumed_thought_without_an_end_is_the_answer() -> None:
    markup = MarkupFilter(starts_thinking=True)
    assert markup.feed(HELLO) == ""
    assert markup.finish() == HELLO


@given(st.text('<think>[]{}"`|/ ab:', max_size=80))
def test_no_text_is_an_error(text: str) -> None:
    for spoken in in_every_size(text):
        assert isinstance(spoken, str)
