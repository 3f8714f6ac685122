from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.credentials import (
    MASK,
    entropy,
    find_credentials,
    find_high_entropy,
    mask_credentials,
    mask_secrets,
)
from runner.config.diagnostics import diagnose
from runner.config.source import Source, Span

# Made up, in the formats that their issuers publish.
KEYS = [
    "sk-proj-Jq3vT8mZc1LwX7rN5kYdB2sHfG9aQeU4",
    "sk-ant-api03-Jq3vT8mZc1LwX7rN5kYdB2sHfG9aQeU4",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "AKIA2E0A8F3B244C9986",
    "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "ghp_Zk4Lw9QmT2xVb7NcR5yHd8SjF3aPeG6uWq1i",
    "glpat-Zk4Lw9QmT2xVb7NcR5yH",
    "xoxb-2583710944-Zk4Lw9QmT2xV",
    "SK0f3a9c7b5d1e8264a0b9c8d7e6f5a4b3",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ2YWdlbnQifQ.c2lnbmF0dXJlLW9mLWl0",
    "-----BEGIN RSA PRIVATE KEY-----",
]
HARMLESS = [
    "AKIAIOSFODNN7EXAMPLE",
    "sk-your-key-here-and-nothing-else-at-all",
    "sk-short",
    "ghost_of_a_chance_that_this_is_any_key_at_all",
    "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "SKU 12345678901234567890123456789012",
    "eyJ is how they begin",
]


@pytest.mark.parametrize("key", KEYS)
def test_what_has_a_published_format_is_found(key: str) -> None:
    text = f"headers: {{Authorization: 'Bearer {key}'}}"
    (found,) = find_credentials(text)
    assert text[slice(*found.span)] in key


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_resembles_a_key_is_left_alone(text: str) -> None:
    assert list(find_credentials(text)) == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("Vq8ZtY2mLx0RrB5nKc7WsD4fGh1JpTe6A9uQyXo3", True),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", False),  # a digest
        ("7c9e6679-7425-40de-944b-e07fc1f90ae7", False),  # a UUID
        ("projects/europe-west1/agents/Support2/versions", False),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA1", False),
        ("Donaudampfschifffahrtsgesellschaftskapitaen7", False),
    ],
)
def test_only_what_looks_drawn_by_lot_is_disorder(text: str, is_found: bool) -> None:
    assert bool(list(find_high_entropy(text))) is is_found


def test_entropy_counts_bits_a_character() -> None:
    assert entropy("aaaa") == 0
    assert entropy("abab") == 1
    assert entropy("0123456789abcdef") == 4


def test_a_secret_is_hidden_whole_cut_short_and_twice() -> None:
    secret = "hunter2-hunter2"
    text = f"it is {secret}, or {secret[:9]}…"
    assert mask_secrets(text, [secret]) == f"it is {MASK * 15}, or {MASK * 9}…"


@given(st.text(st.characters(codec="ascii"), min_size=8), st.text(), st.text())
def test_a_hidden_secret_is_nowhere(secret: str, before: str, after: str) -> None:
    assert secret not in mask_secrets(before + secret + after, [secret])


def test_findings_about_its_line_are_masked() -> None:
    source = Source("a.yaml", "key: hunter2-hunter2 # vagent\n")
    found = diagnose(source, Span(0, 3), "VA203", "unknown `hunter2-hunter2`", "no")
    (shown,) = mask_credentials([found], source, [Span(5, 20)])
    assert "hunter2" not in f"{shown}{shown.excerpt}"
    assert shown.excerpt == f"key: {MASK * 15} # vagent"
