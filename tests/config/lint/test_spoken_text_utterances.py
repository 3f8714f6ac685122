from __future__ import annotations

import pytest

from runner.config.lint.spoken_text import estimate_seconds, find_unspeakable


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "See https://a.example/x.",
            [("an address of the web", "https://a.example/x")],
        ),
        ("See www.a.example now", [("an address of the web", "www.a.example")]),
        ("Write to a.b@c.example.", [("an e-mail address", "a.b@c.example")]),
        (
            "Our **best** and *very* best",
            [("markdown", "**best**"), ("markdown", "*very*")],
        ),
        ("An _odd_ word", [("markdown", "_odd_")]),
        ("Say `hello`", [("markdown", "`hello`")]),
        ("# Welcome", [("markdown", "# W")]),
        ("Choose:\n- tea\n- coffee", [("markdown", "- t"), ("markdown", "- c")]),
        ("[Shop](https://a.example)", [("a link", "[Shop](https://a.example)")]),
        ("Hello <b>you</b>", [("markup", "<b>"), ("markup", "</b>")]),
        ("Hello 👋", [("an emoji", "👋")]),
        ("Love ❤️!", [("an emoji", "❤️")]),
    ],
)
def test_what_no_voice_can_say_is_found(
    text: str, found: list[tuple[str, str]]
) -> None:
    said = [(each.what, text[each.start : each.end]) for each in find_unspeakable(text)]
    assert said == found


@pytest.mark.parametrize(
    "text",
    [
        "Our shop is at acme dot example.",
        "Visit acme.example today",
        "Two * three * four",
        "5 * 6",
        "Are you there? - Good.",
        "A snake_case_name",
        "Less < more > less",
        "It's 50% off, №1, © Acme™, 20 €, “so”…",
        "Grüße aus Köln, à bientôt, 你好",
        "Call 555-0100 & ask",
        "-5 degrees",
    ],
)
def test_what_can_be_said_is_left_alone(text: str) -> None:
    assert list(find_unspeakable(text)) == []


def test_fifteen_letters_take_a_second() -> None:
    assert estimate_seconds("abcd fghi klmno" * 10) == pytest.approx(10)


def test_chinese_is_counted_by_syllables() -> None:
    assert estimate_seconds("你" * 52) == pytest.approx(10)
    assert estimate_seconds("の" * 78) == pytest.approx(10)


def test_a_digit_is_a_word() -> None:
    assert estimate_seconds("7" * 30) == pytest.approx(10)


def test_folding_takes_no_time() -> None:
    assert estimate_seconds("a  b\n\n  c\n") == estimate_seconds("a b c")
