"""Keys and tokens."""

from __future__ import annotations

import json

import pytest

from runner.service.app import Authenticator, credential

KEY = "sk-1234"


def admits(
    gate: Authenticator, authorization: str | None = None, query: str = ""
) -> bool:
    return gate.admits(authorization, query, 0.0, resume_tokens=False)


@pytest.mark.parametrize(
    ("authorization", "query"),
    [
        (KEY, ""),
        (f"Bearer {KEY}", ""),
        (f"bearer  {KEY} ", ""),
        (None, f"token={KEY}"),
    ],
)
def test_the_key_opens_in_every_form(authorization: str | None, query: str) -> None:
    assert admits(Authenticator(KEY), authorization, query)


@pytest.mark.parametrize(
    ("authorization", "query"),
    [
        (None, ""),
        ("", ""),
        ("Bearer", ""),
        ("sk-123", ""),
        (None, "token=x"),
        ("\udcff", ""),  # how a header's byte arrives that is no ASCII
    ],
)
def test_anything_else_does_not(authorization: str | None, query: str) -> None:
    assert not admits(Authenticator(KEY), authorization, query)


def test_without_a_key_of_its_own_the_server_takes_everybody() -> None:
    assert admits(Authenticator(), None)
    assert admits(Authenticator(), "whatever")


def test_a_resume_token_is_as_good_as_the_key() -> None:
    assert Authenticator(KEY).admits("Bearer resume_1", "", 0.0, resume_tokens=True)


def test_a_token_works_as_often_as_wanted_until_it_expires() -> None:
    gate = Authenticator(KEY)
    answer = gate.issue_token(KEY, "expires_in_seconds=60", 100.0)
    assert answer.status == 200
    assert answer.body["expires_in_seconds"] == 60
    query = f"token={answer.body['token']}"

    for now in (100.0, 159.0):
        assert gate.admits(None, query, now, resume_tokens=False)
    assert not gate.admits(None, query, 160.0, resume_tokens=False)


def test_a_wrong_key_gets_no_token() -> None:
    answer = Authenticator(KEY).issue_token("Bearer x", "expires_in_seconds=60", 0.0)

    assert answer.status == 404
    assert json.loads(answer.text) == {"detail": "Invalid API key"}


@pytest.mark.parametrize(
    ("authorization", "query", "kind", "place"),
    [
        (None, "expires_in_seconds=60", "missing", ["header", "authorization"]),
        ("k", "", "missing", ["query", "expires_in_seconds"]),
        (
            "k",
            "expires_in_seconds=0",
            "greater_than_equal",
            ["query", "expires_in_seconds"],
        ),
        (
            "k",
            "expires_in_seconds=601",
            "less_than_equal",
            ["query", "expires_in_seconds"],
        ),
        ("k", "expires_in_seconds=x", "int_parsing", ["query", "expires_in_seconds"]),
        (
            "k",
            "expires_in_seconds=1&max_session_duration_seconds=59",
            "greater_than_equal",
            ["query", "max_session_duration_seconds"],
        ),
    ],
)
def test_a_bad_request_for_a_token_is_told_what_is_wrong(
    authorization: str | None, query: str, kind: str, place: list[str]
) -> None:
    answer = Authenticator().issue_token(authorization, query, 0.0)

    assert answer.status == 422
    [finding] = answer.body["detail"]
    assert (finding["type"], finding["loc"]) == (kind, place)


def test_the_scheme_may_be_left_out() -> None:
    assert credential("Bearer abc") == credential(" abc ") == "abc"
    assert credential(None) == ""
