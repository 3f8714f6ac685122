from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ToolError
from runner.tools.http_client import RequestBuilder

URL = "https://api.example.com/shops/{shop}/orders"


def builder(method: str = "GET", url: str = URL, **fields: Any) -> RequestBuilder:
    return RequestBuilder(
        method, url, fields.pop("headers", {}), fields.pop("query", {}), **fields
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_other_arguments_go_into_the_query(method: str) -> None:
    request = builder(method, query={"v": 2}).build(
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
def test_other_arguments_go_into_the_json_body(method: str) -> None:
    request = builder(method, query={"v": 2}).build({"shop": "a", "count": 3})

    assert (request.query, request.json) == ((("v", "2"),), {"count": 3})


def test_fixed_fields_of_the_body_are_sent_and_cannot_be_replaced() -> None:
    fields = {"tenant": "acme", "tags": ["x", "y"]}
    arguments = {"shop": "a", "count": 3, "tenant": "evil"}
    request = builder("POST", fields=fields).build(arguments)
    assert request.json == {"count": 3, **fields}
    form = builder("POST", body="form", fields=fields).build({"shop": "a"}).form
    assert form == (("tenant", "acme"), ("tags", "x"), ("tags", "y"))
    assert builder("GET", fields=fields).build({"shop": "a"}).json is None


def test_a_fixed_list_in_the_query_repeats_its_name() -> None:
    request = builder(query={"tag": ["x", 2, True]}).build({"shop": "a"})
    assert request.query == (("tag", "x"), ("tag", "2"), ("tag", "true"))


def test_other_arguments_go_into_the_form() -> None:
    request = builder("POST", body="form").build({"shop": "a", "tags": ["x", "y"]})

    assert request.form == (("tags", "x"), ("tags", "y"))


@pytest.mark.parametrize(
    "value",
    [
        "", " ", ".", "..", "../x", "x/..", "../../admin", "..\\admin", "x/./y",
        "%2e%2e", "..%2Fadmin", "%252e%252e%252fadmin", "..%5Cadmin", "..;/x", "..;a=b",
        ".\x00.", "x%00", "a\r\nb", "x/.. /y",
    ],
)  # fmt: skip
def test_path_navigation_in_a_segment_is_refused(value: str) -> None:
    with pytest.raises(ToolError, match="shop must not be"):
        builder().build({"shop": value})


@pytest.mark.parametrize("value", ["a/b", "a..b", "1.", "100%", "...", "a;b", "50%25"])
def test_dots_and_slashes_without_navigation_are_encoded(value: str) -> None:
    assert f"/{quote(value, safe='')}/" in builder().build({"shop": value}).url


def test_a_placeholder_in_the_query_takes_every_text() -> None:
    url = "https://api.example.com/find?q={q}&in={shop}"
    request = RequestBuilder("GET", url, {}, {}).build({"q": "../x\n", "shop": ".."})

    assert request.url == "https://api.example.com/find?q=..%2Fx%0A&in=.."


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_half_a_surrogate_pair_is_refused_in_plain_words(method: str) -> None:
    with pytest.raises(ToolError, match="^note is not proper text$"):
        builder(method).build({"shop": "a", "note": ["x\ud83d"]})


def test_a_placeholder_without_a_value_is_missing() -> None:
    with pytest.raises(ToolError, match="shop is missing"):
        builder().build({})


@settings(deadline=None)  # machine speed varies
@given(st.text(min_size=1))
def test_an_argument_cannot_change_the_url_outside_its_segment(value: str) -> None:
    try:
        parts = urlsplit(builder().build({"shop": value}).url)
    except ToolError:
        return  # refused

    assert parts.netloc == "api.example.com"
    assert (parts.query, parts.fragment) == ("", "")
    segments = parts.path.split("/")
    assert [segments[1], segments[3:]] == ["shops", ["orders"]]
    assert unquote(segments[2]) == value


SHOP = {"properties": {"shop": {"type": "string"}}}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/{shop}", "not an http"),
        ("https:///{shop}", "not an http"),
        ("https://{shop}.example.com/", "must be fixed"),
        ("https://example.com:{shop}/", "must be fixed|not an http"),
        ("https://example.com:99999/", "not an http|must be fixed"),
        ("https://example.com/{order}", "has {order}"),
    ],
)
def test_an_invalid_url_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        builder(url=url).check(SHOP)


@pytest.mark.parametrize("value", ["a\r\nHost: b", "é", " a", "\0"])
def test_an_invalid_header_is_refused_without_showing_its_value(value: str) -> None:
    secret = "k3y" + value

    with pytest.raises(ToolError) as refused:
        builder(headers={"X-Key": secret + " " if value == " a" else secret}).check(
            SHOP
        )

    assert "'X-Key'" in str(refused.value)
    assert "k3y" not in f"{refused.value}{refused.value.hint}"


def test_a_repr_shows_no_secret() -> None:
    whole = builder(headers={"X-Key": "k3y"}, query={"token": "t0ken"})
    request = whole.build({"shop": "a"})

    assert "k3y" not in repr(whole) + repr(request)
    assert "t0ken" not in repr(whole) + repr(request)
