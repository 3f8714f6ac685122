"""Fixes of randomly misspelt files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config.diagnostics import Diagnostic
from runner.config.files import read_agent_text
from runner.config.lint.fixes import FixedFile, fix_content
from runner.config.loader import check_reading

AGENTS = Path(__file__).parents[3] / "agents"
PATH = AGENTS / "support.yaml"
TEXTS = [
    (AGENTS / "support.yaml").read_text("utf-8"),
    (AGENTS / "storyteller.yaml").read_text("utf-8"),
    """\
# yaml-language-server: $schema=./agent.schema.json
version: 1
name: rich  # every kind of field
prompt: |
  You are brief. 😀 Say ${company}.
greeting: "Hallo, grüezi ${company}"
voice: {name: alba, volume: 80}
languages: [en, de]
key_terms:
  - Acme   # ours
  - 'Da Vinci'
transcription: {mode: balanced}
turn_detection:
    min_silence: &s 600ms
    max_silence: 1500ms
    interruptible: true
variables: {company: {default: Acme}}
tools:
- plugin: end_call
- {plugin: current_time, timeout: 8s, effect: read}
session:
  max_duration: 30m
  idle: {nudge_after: 20s, end_after: 60s}
""",
]
# What people write instead.
SWAPS = {
    "true": ["yes", "'true'", "on", "True"],
    "600ms": ["600", "600 ms", "'600'", "0.6 sec"],
    "8s": ["8", "8sec", '"8"'],
    "30m": ["30min", "0.5h", "1800"],
    "20s": ["20 seconds"],
    "[en, de]": ["en", "[en, en]", "[en, de_CH, 12]", "[no, y]"],
    "balanced": ["Balanced", "balance"],
    "${company}": ["{{company}}", "$company", "${ company }", "${compny}", "{company}"],
    "Acme": ["12", "yes", "12:30", "'Acme'"],
    "80": ["'80'", "080", "8e1"],
    "greeting": ["first_message", "Greeting", "greting"],
    "key_terms": ["keyterms", "keyTerms"],
    "max_silence": ["max_turn_silence", "maxSilence", "max_silence_ms"],
    "./agent.schema.json": ["./schema.json"],
}


@st.composite
def slips(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        here = [each for each in SWAPS if each in text]
        is_swapped = draw(st.booleans()) if here else False
        if is_swapped:
            old = draw(st.sampled_from(here))
            text = text.replace(old, draw(st.sampled_from(SWAPS[old])), 1)
        else:
            text = draw(misspelt(text))
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


@st.composite
def misspelt(draw: st.DrawFn, text: str) -> str:
    """Drop a letter of a word, or swap it with its neighbour, or double it."""
    first = text.index("\n")  # without its modeline the file would get another one
    words = [
        each for each in re.finditer(r"[A-Za-z_]{3,}", text) if each.start() > first
    ]
    word = draw(st.sampled_from(words))
    at = draw(st.integers(0, len(word[0]) - 2))
    a, b = word[0][at], word[0][at + 1]
    new = draw(st.sampled_from([b, b + a, a + a + b, a.upper() + b]))
    return text[: word.start() + at] + new + text[word.start() + at + 2 :]


def check(data: bytes) -> Sequence[Diagnostic]:
    return check_reading(read_agent_text(data, PATH), environment={})


def fixed(data: bytes) -> FixedFile:
    return fix_content(data, str(PATH), check)


@given(slips())
@settings(max_examples=40, deadline=None)
def test_fixing_changes_only_reported_text_and_terminates(before: bytes) -> None:
    done = fixed(before)
    changed = {each.line for each in done.mending.changes}
    old, new = before.split(b"\n"), done.after.split(b"\n")
    assert len(old) == len(new)
    assert {
        line
        for line, pair in enumerate(zip(old, new, strict=True), 1)
        if len({*pair}) > 1
    } == changed

    again = fixed(done.after)
    assert again.after == done.after
    assert again.mending.changes == ()


@given(slips())
@settings(max_examples=40, deadline=None)
def test_fixing_adds_no_errors(before: bytes) -> None:
    found, done = check(before), fixed(before)
    left = done.mending.findings
    assert sum(each.is_error for each in left) <= sum(each.is_error for each in found)
    refused = {(each.rule, each.title) for each in done.mending.refused}
    for each in left:
        if each.fix is not None and each.fix.is_safe and each.path == str(PATH):
            assert (each.rule, each.fix.title) in refused
    # New findings were hidden by a fixed key, or are about a fixed value.
    if not done.mending.changes:
        assert left == tuple(found)
