from __future__ import annotations

import pytest

from runner.config.spelling import is_certain_guess, nearest

KNOWN = ["prompt", "prompt_file", "greeting", "key_terms", "max_duration", "voice"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("promt", "prompt"),
        ("voise", "voice"),
        ("maxDuration", "max_duration"),
        ("max-duration", "max_duration"),
        ("Greeting", "greeting"),
        ("system_prompt", "prompt"),
        ("systemPrompt", "prompt"),
        ("keyterms", "key_terms"),
        ("first_message", "greeting"),
        ("xyz", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_what_was_meant(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN) == meant


def test_a_name_of_elsewhere_is_only_said_where_ours_is_known() -> None:
    assert nearest("system_prompt", ["url"]) is None


def test_a_very_long_name_takes_no_time() -> None:
    assert nearest("x" * 1_000_000, KNOWN) is None


@pytest.mark.parametrize("name", ["ulr", "rul", "ur", "urll", "url1", "uurl", "irl"])
def test_one_slip_in_a_short_name_is_understood(name: str) -> None:
    assert nearest(name, ["url", "method", "body"]) == "url"


def test_what_could_be_two_names_after_one_slip_is_not_guessed_by_it() -> None:
    assert nearest("mat", ["map", "mad"]) is None


@pytest.mark.parametrize(
    ("name", "guess", "sure"),
    [
        ("voise", "voice", True),
        ("vocie", "voice", True),
        ("promt", "prompt", True),
        ("maxDuration", "max_duration", True),
        ("first_message", "greeting", True),
        ("timeout_secs", "timeout", True),
        ("turn_detecton", "turn_detection", True),
        ("description", "transcription", False),
        ("first_name", "last_name", False),
        ("order_id", "orders", False),
        ("foo", "bar", False),
        ("x" * 100_000, "voice", False),
    ],
)
def test_a_guess_is_sure_when_nothing_else_can_be_meant(
    name: str, guess: str, sure: bool
) -> None:
    assert is_certain_guess(name, guess) == sure
