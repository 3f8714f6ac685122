from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ToolError
from runner.redaction import MIN_SECRET_LENGTH, Redactor
from runner.tools.results import NotSerializable, describe_failure, failure

PLAIN = Redactor()


def error_text(error: BaseException, redactor: Redactor = PLAIN) -> str:
    outcome = describe_failure("it", error, redactor.text)
    assert outcome.is_error
    text: str = json.loads(outcome.text)["error"]
    return text


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("closed on Mondays"), "it failed: closed on Mondays"),
        (ValueError("one\ntwo"), "it failed: one"),
        (ValueError(), "it failed: ValueError"),
        (KeyError("Ada"), "it failed: no entry 'Ada'"),
        (
            FileNotFoundError(2, "No such file or directory", "/home/ada/x.json"),
            "it failed: No such file or directory",
        ),
        (RuntimeError("see /home/ada/x.json, line 3"), "it failed: see a file, line 3"),
        (RuntimeError(r"see C:\Users\ada\x.json"), "it failed: see a file"),
        (
            RuntimeError("see https://example.com/a/b and/or c"),
            "it failed: see https://example.com/a/b and/or c",
        ),
        (ToolError("shop answered 404", hint="for the person"), "shop answered 404"),
        (
            NotSerializable("the result contains itself"),
            "it failed: the result contains itself",
        ),
        (SystemExit(1), "it failed: it tried to end the program"),
        (Hostile(), "it failed: Hostile"),
    ],
)
def test_a_failure_is_a_one_line_message_for_the_model(
    error: BaseException, text: str
) -> None:
    assert error_text(error) == text


def test_the_detail_names_the_file_and_line() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        outcome = describe_failure("it", error, PLAIN.text)

    assert outcome.detail is not None
    assert outcome.detail.startswith("JSONDecodeError: Expecting")
    assert f"{Path(__file__).name}:" in outcome.detail


def test_the_hint_is_not_sent_to_the_model() -> None:
    outcome = describe_failure("it", ToolError("no", hint="do this"), PLAIN.text)

    assert outcome.detail == "no; do this"
    assert "do this" not in outcome.text


def test_secrets_are_redacted_also_percent_encoded() -> None:
    redactor = Redactor(["k/ey+1", "k/ey+12345", "ab"])
    error = ValueError("k/ey+1 k%2Fey%2B1 k/ey+12345 ab")

    outcome = describe_failure("it", error, redactor.text)

    assert json.loads(outcome.text)["error"] == "it failed: *** *** *** ab"
    assert "k/ey" not in str(outcome.detail)


LETTERS = st.characters(min_codepoint=0x400, max_codepoint=0x45F)
OTHERS = st.characters(max_codepoint=0x7F)


@settings(deadline=None)  # machine speed varies
@given(
    st.text(LETTERS, min_size=MIN_SECRET_LENGTH),
    st.text(OTHERS, max_size=600),
    st.text(OTHERS),
)
def test_no_part_of_a_secret_survives(secret: str, before: str, after: str) -> None:
    outcome = describe_failure(
        "it", ValueError(before + secret + after), Redactor([secret]).text
    )

    assert not set(secret) & set(f"{json.loads(outcome.text)}{outcome.detail}")


@settings(deadline=None)  # machine speed varies
@given(st.text(st.characters(exclude_categories=[])))
def test_any_failure_can_be_sent(text: str) -> None:
    encoded = failure(text).text

    assert json.loads(encoded.encode()) == {"error": text}
