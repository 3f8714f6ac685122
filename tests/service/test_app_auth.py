"""Keys and tokens."""

from __future__ import annotations

import pytest

from runner.service.app import Authenticator, credential, credentials_of
from runner.service.http import HttpRequest

KEY = "sk-1234"


def is_authorized(
    authenticator: Authenticator, authorization: str | None = None, query: str = ""
) -> bool:
    headers = [] if authorization is None else [("authorization", authorization)]
    return any(
        authenticator.is_authorized(each, 0.0, can_resume=False)
        for each in credentials_of(HttpRequest("GET", f"/v1/ws?{query}", headers))
    )


@pytest.mark.parametrize(
    ("authorization", "query"),
    [
        (KEY, ""),
        (f"Bearer {KEY}", ""),
        (f"bearer  {KEY} ", ""),
        (None, f"token={KEY}"),
    ],
)
def test_the_key_is_accepted_in_every_form(
    authorization: str | None, query: str
) -> None:
    assert is_authorized(Authenticator(KEY), authorization, query)


@pytest.mark.parametrize(
    ("authorization", "query"),
    [
        (None, ""),
        ("", ""),
        ("Bearer", ""),
        ("sk-123", ""),
        (None, "token=x"),
        ("\udcff", ""),  # a byte of a header that is not ASCII
    ],
)
def test_anything_else_is_rejected(authorization: str | None, query: str) -> None:
    assert not is_authorized(Authenticator(KEY), authorization, query)


def test_without_a_key_every_client_is_accepted() -> None:
    assert is_authorized(Authenticator(), None)
    assert is_authorized(Authenticator(), "whatever")


def test_a_resume_token_is_accepted_in_place_of_the_key() -> None:
    assert Authenticator(KEY).is_authorized("resume_1", 0.0, can_resume=True)


def test_a_token_can_be_used_several_times_until_it_expires() -> None:
    authenticator = Authenticator(KEY)
    status, body = authenticator.issue_token(KEY, "expires_in_seconds=60", 100.0)
    assert status == 200
    assert body["expires_in_seconds"] == 60
    token = body["token"]

    for now in (100.0, 159.0):
        assert authenticator.is_authorized(token, now, can_resume=False)
    assert not authenticator.is_authorized(token, 160.0, can_resume=False)


def test_a_token_request_with_a_wrong_key_is_rejected() -> None:
    authenticator = Authenticator(KEY)
    status, body = authenticator.issue_token("Bearer x", "expires_in_seconds=60", 0.0)

    assert status == 404
    assert body == {"detail": "Invalid API key"}


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
def test_a_bad_token_request_is_answered_with_its_errors(
    authorization: str | None, query: str, kind: str, place: list[str]
) -> None:
    status, body = Authenticator().issue_token(authorization, query, 0.0)

    assert status == 422
    [error] = body["detail"]
    assert (error["type"], error["loc"]) == (kind, place)


def test_the_scheme_is_optional() -> None:
    assert credential("Bearer abc") == credential(" abc ") == "abc"
    assert credential(None) == ""
