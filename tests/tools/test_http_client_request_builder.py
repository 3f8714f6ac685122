from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ToolError
from runner.tools.http_client import RequestBuilder

URL = "https://api.example.com/shops/{shop}/orders"


def placement(method: str = "GET", url: str = URL, **fields: Any) -> RequestBuilder:
    return RequestBuilder(
        method, url, fields.pop("headers", {}), fields.pop("query", {}), **fields
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_the_rest_goes_into_the_query(method: str) -> None:
    request = placement(method, query={"v": 2}).place(
        {
            "shop": "a b/c",
            "tags": ["x", "y"],
            "open": True,
            "none": None,
            "at": {"k": 1},
        }
    )

    assert request.url == "https://api.example.com/shops/a%20b%2Fc/orders"
    assert request.query == (
        ("v", "2"), ("tags", "x"), ("tags", "y"), ("open", "true"), ("at", '{"k": 1}'),
    )  # fmt: skip
    assert request.json is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_the_rest_goes_into_the_json_body(method: str) -> None:
    request = placement(method, query={"v": 2}).place({"shop": "a", "count": 3})

    assert (request.query, request.json) == ((("v", "2"),), {"count": 3})


def test_a_form_carries_the_rest_as_pairs() -> None:
    request = placement("POST", body="form").place({"shop": "a", "tags": ["x", "y"]})

    assert request.form == (("tags", "x"), ("tags", "y"))


@pytest.mark.parametrize("value", ["", " ", ".", ".."])
def test_a_segment_that_means_another_folder_is_refused(value: str) -> None:
    with pytest.raises(ToolError, match="shop must not be"):
        placement().place({"shop": value})


def test_a_placeholder_without_a_value_is_missing() -> None:
    with pytest.raises(ToolError, match="shop is missing"):
        placement().place({})


@settings(deadline=None)  # machines differ
@given(st.text(min_size=1).filter(lambda text: text.strip() not in ("", ".", "..")))
def test_a_segment_cannot_leave_its_place(value: str) -> None:
    parts = urlsplit(placement().place({"shop": value}).url)

    assert parts.netloc == "api.example.com"
    assert (parts.query, parts.fragment) == ("", "")
    segments = parts.path.split("/")
    assert [segments[1], segments[3:]] == ["shops", ["orders"]]
    assert unquote(segments[2]) == value


SHOP = {"properties": {"shop": {"type": "string"}}}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/{shop}", "not one of http"),
        ("https:///{shop}", "not one of http"),
        ("https://{shop}.example.com/", "must be fixed"),
        ("https://example.com:{shop}/", "must be fixed|not one of"),
        ("https://example.com:99999/", "not one of http|must be fixed"),
        ("https://example.com/{order}", "has {order}"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        placement(url=url).check(SHOP)


@pytest.mark.parametrize("value", ["a\r\nHost: b", "é", " a", "\0"])
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(value: str) -> None:
    secret = "k3y" + value

    with pytest.raises(ToolError) as refused:
        placement(headers={"X-Key": secret + " " if value == " a" else secret}).check(
            SHOP
        )

    assert "'X-Key'" in str(refused.value)
    assert "k3y" not in f"{refused.value}{refused.value.hint}"


def test_nothing_secret_is_in_a_repr() -> None:
    whole = placement(headers={"X-Key": "k3y"}, query={"token": "t0ken"})
    request = whole.place({"shop": "a"})

    assert "k3y" not in repr(whole) + repr(request)
    assert "t0ken" not in repr(whole) + repr(request)
