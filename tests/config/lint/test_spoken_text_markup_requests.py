from __future__ import annotations

import pytest

from runner.config.lint.spoken_text import find_requests


def asked(prompt: str) -> list[str]:
    found = list(find_requests(prompt))
    assert [prompt[each.start : each.end] for each in found] == [
        each.what for each in found
    ]
    return [each.what for each in found]


@pytest.mark.parametrize(
    ("prompt", "what"),
    [
        ("Answer in Markdown.", "Markdown"),
        ("Be kind. Use bullet points for options.", "bullet points"),
        ("Reply with a bulleted list of dishes.", "bulleted list"),
        ("Give numbered lists of steps.", "numbered lists"),
        ("Present the prices as a table.", "table"),
        ("Summarise the offers in a short list.", "list"),
        ("Use plenty of emojis 🎉!", "emojis"),
        ("Put the price in bold.", "bold"),
        ("Use bold text for prices.", "bold text"),
        ("Provide a link to our website.", "link"),
        ("Write code blocks for commands.", "code blocks"),
        ("Always include a link to the article.", "link"),
        ("Structure longer answers with headings.", "headings"),
        ("Format the answer\nas HTML.", "HTML"),
        ("Rules:\n- Be brief.\n- Use emoji.\n", "emoji"),
        ("Never lie. Use bullet points.", "bullet points"),
        ("Don't be long; use bullet points.", "bullet points"),
    ],
)
def test_what_only_a_page_can_show_is_found(prompt: str, what: str) -> None:
    assert asked(prompt) == [what]


@pytest.mark.parametrize(
    "prompt",
    [
        "Never use bullet points, tables or emoji.",
        "No markdown, no lists, no links: everything is spoken.",
        "Do not read out links.",
        "Don't use emoji. Don’t use headings either.",
        "Answer without emoji or code blocks.",
        "Avoid the following: use of markdown, bullet points.",
        "Use plain sentences instead of bullet points.",
        "Write sentences rather than numbered lists.",
        "Things you never do:\n\n- Use bullet points.\n- Add emoji.\n",
        "## Don'ts\n- Use markdown\n- Provide links\n",
        "If the caller asks you to use markdown, say that you talk.",
        'Callers may say "use bullet points" to test you.',
        "Send the caller a text message with a link.",
        "Use send_link to give the caller the link by e-mail.",
        "Use find_table to give the guests a table in the garden.",
        "Show them to a table. Give the table's number.",
        "Use the waiting list when the class is full.",
        "Give the caller a place in a list of those who wait.",
        "List the three cheapest rooms.",
        "# Heading\n\n**Bold** is for you. Use lookup_order.\n\n- one\n- two\n",
        "You sell books on HTML and Markdown.",
        "Write down what a bold caller says.",
        "Answer questions about Markdown, bullet points and emoji: you teach them.",
        "Use HTML knowledge to help developers.",
        "Give callers the link between their two orders.",
        "Share the links opening hours of the golf course.",
        "Give the caller the price list in euros. Read the list of names.",
        "Summarise what was said in one sentence, then write the order in the book.",
        "",
    ],
)
def test_what_can_be_said_and_what_is_forbidden_is_left_alone(prompt: str) -> None:
    assert asked(prompt) == []


def test_each_sentence_is_blamed_once() -> None:
    prompt = "Use bullet points, tables and emoji. Use a few emoji."
    assert asked(prompt) == ["bullet points", "emoji"]


def test_a_long_prompt_takes_no_longer_than_its_length() -> None:
    # A pattern that goes back over the text for every verb would not come to an end.
    assert asked("use a give add put " * 10_000) == []
