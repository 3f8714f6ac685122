"""Each guess is found where a person would point, with the edit that takes it back."""

from __future__ import annotations

import pytest

from runner.config.yaml.parser import first_error
from runner.config.yaml.recovery import SyntaxGuess, find_guesses

# Broken text with a mark where the fault is, and how it was meant.
CASES = {
    "tab": ("a:\n«\tb: 1\n", "a:\n  b: 1\n"),
    "dash": ("a:\n - b: 1\n «-c: 2\n", "a:\n - b: 1\n - c: 2\n"),
    "blank": ("a: 1\n«b:2\nc: 3\n", "a: 1\nb: 2\nc: 3\n"),
    "blank in the first line": ("«a:1\nb: 2\n", "a: 1\nb: 2\n"),
    "colon": ("a: 1\n«b 2\nc: 3\n", "a: 1\nb: 2\nc: 3\n"),
    "colon before braces": ("a: 1\n«b {c: 2, d: 3}\n", "a: 1\nb: {c: 2, d: 3}\n"),
    "stray word": ("a: 1\n«oops\nb: 2\n", "a: 1\noops:\nb: 2\n"),
    "too deep": ("a: 1\n «b: 2\n", "a: 1\nb: 2\n"),
    "too shallow": ("a:\n   b: 1\n  «c: 2\n", "a:\n   b: 1\n   c: 2\n"),
    "quote": ('a: «"x\nb: 1\n', 'a: "x"\nb: 1\n'),
    "quote that a later one closes": ("a: «'x\nb: y's\n", "a: 'x'\nb: y's\n"),
    "quote before a comment": ('a: «"x # y\nb: 1\n', 'a: "x # y"\nb: 1\n'),
    "quote in a list": ('a: [«"x, "y"]\n', 'a: ["x", "y"]\n'),
    "comma": ("a: {b: 1 «c: 2}\n", "a: {b: 1, c: 2}\n"),
    "comma after a quote": ('a: {b: "1" «c: 2}\n', 'a: {b: "1", c: 2}\n'),
    "bracket": ("a: «[b, c\nd: 1\n", "a: [b, c]\nd: 1\n"),
    "brace": ("a: «{b: 1\nd: 1\n", "a: {b: 1}\nd: 1\n"),
    "bracket inside": ("a: {b: «[c, d: 1}\n", "a: {b: [c, d: 1]}\n"),
    "closer": ("a: [b]«]\nc: 1\n", "a: [b]\nc: 1\n"),
    "escape": ('a: "«\\d"\n', 'a: "\\\\d"\n'),
    "reserved": ("a: «@b\n", "a: b\n"),
    "left over": ("a: 'b' «c\nd: 1\n", "a: 'b' \nd: 1\n"),
    "apostrophe": ("a: 'b'«s c'\nd: 1\n", "a: 'b'\nd: 1\n"),
    "colon in a text": ("a: b«: c d\n", "a: b c d\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_slip_is_found_where_it_is_with_what_takes_it_back(name: str) -> None:
    marked, meant = CASES[name]
    text, at = marked.replace("«", ""), marked.index("«")
    error = first_error(text)
    assert error is not None
    helpful = [
        guess
        for guess in find_guesses(text, error)
        if first_error(repaired(text, guess)) is None
    ]
    assert (helpful[0].at, repaired(text, helpful[0])) == (at, meant)


def test_a_tab_that_may_stand_for_several_widths_is_not_sure() -> None:
    text = "a:\n  b:\n    c: 1\n\td: 2\n"
    error = first_error(text)
    assert error is not None
    assert not any(guess.is_sure for guess in find_guesses(text, error))


def repaired(text: str, guess: SyntaxGuess) -> str:
    return text[: guess.edit.start] + guess.edit.text + text[guess.edit.end :]
