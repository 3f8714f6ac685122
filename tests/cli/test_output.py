"""Control characters in the output of commands."""

from __future__ import annotations

import json

import pytest

from runner.cli.output import escape_controls, escape_stream

HOSTILE = [
    "\x1b",
    "\x07",
    "\x9b",
    "\x00",
    "\x7f",
    "\u202e",
    "\u2066",
    "\u2028",
    "\u200f",
]


@pytest.mark.parametrize("character", [*HOSTILE, "\r"], ids=ascii)
def test_a_character_that_controls_a_terminal_is_escaped(character: str) -> None:
    assert escape_controls(f"a{character}b") == f"a\\u{ord(character):04x}b"


def test_escaped_json_has_the_same_value() -> None:
    values = {each: f"é\t{each}\n" for each in HOSTILE}

    text = escape_controls(json.dumps(values, ensure_ascii=False))

    assert json.loads(text) == values


def test_line_breaks_tabs_and_letters_of_every_script_stay() -> None:
    text = "a\tb\r\nسلام 東京 👩\u200d💻\n"

    assert escape_controls(text) == text
    assert escape_stream(text) == text


def test_only_colors_stay_in_a_colored_report() -> None:
    text = "\x1b[1;31mfailed\x1b[0m \x1b[2J"

    assert escape_controls(text, keep_colors=True) == (
        "\x1b[1;31mfailed\x1b[0m \\u001b[2J"
    )


@pytest.mark.parametrize("text", ["\x1b[2A\x1b[K", "\x1b[?2004h", "\r\x1b[1C\x1b[J"])
def test_a_stream_keeps_the_sequences_of_the_views(text: str) -> None:
    assert escape_stream(text) == text


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\x1bc", "\x9b2J", "a\x1b"])
def test_a_stream_escapes_all_other_sequences(text: str) -> None:
    assert "\\u00" in escape_stream(text)
    assert not set("\x1b\x07\x9b") & set(escape_stream(text))
