"""Requests and the access of web pages, without sockets."""

from __future__ import annotations

import pytest

from runner.errors import UsageError
from runner.service.http import AccessPolicy, HttpAnswer, HttpRequest, RequestReader


def request(host: str, *origins: str) -> HttpRequest:
    headers = [("host", host), *(("origin", origin) for origin in origins)]
    return HttpRequest("GET", "/v1/ws", headers)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8765", "LOCALHOST:1", "[::1]:8765", "::1", "a.localhost"],
)
def test_names_of_this_machine_are_allowed(host: str) -> None:
    assert AccessPolicy("127.0.0.1").check(request(host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "rebind.evil.example",
        "rebind.evil.example:8765",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "192.0.2.1:8765",
        "[2001:db8::1]",
    ],
)
def test_other_names_are_refused_on_loopback(host: str) -> None:
    refusal = AccessPolicy("127.0.0.1").check(request(host))

    assert refusal is not None
    assert refusal.status == 403
    assert f"Host '{host}' is not allowed" in str(refusal.body)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "box.example"])
def test_another_listening_address_allows_itself_and_addresses(host: str) -> None:
    policy = AccessPolicy(host)

    assert policy.check(request("192.0.2.1:8765")) is None
    assert policy.check(request("localhost:8765")) is None
    assert policy.check(request("evil.example")) is not None
    shown = f"[{host}]" if ":" in host else host
    assert policy.check(request(shown)) is None


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173"],
)
def test_pages_of_this_machine_are_allowed(origin: str) -> None:
    assert AccessPolicy("127.0.0.1").check(request("127.0.0.1", origin)) is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost.evil.example",
        "http://evil.example:80",
        "null",
        "",
        "file://",
        "chrome-extension://localhost",
        "http://[",
        "localhost",
    ],
)
def test_other_pages_are_refused(origin: str) -> None:
    refusal = AccessPolicy("0.0.0.0").check(request("127.0.0.1", origin))

    assert refusal is not None
    assert refusal.status == 403
    assert f"Origin '{origin}' is not allowed" in str(refusal.body)


def test_every_origin_of_a_request_is_checked() -> None:
    mixed = request("127.0.0.1", "https://evil.example", "http://localhost")

    assert AccessPolicy("127.0.0.1").check(mixed) is not None


@pytest.mark.parametrize(
    ("option", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://App.Example.com/", "https://app.example.com"),
        ("null", "null"),
    ],
)
def test_an_allowed_origin_is_accepted(option: str, origin: str) -> None:
    policy = AccessPolicy("127.0.0.1", [option])

    assert policy.check(request("127.0.0.1", origin)) is None
    assert policy.check(request("127.0.0.1", f"{origin}.evil.example")) is not None


def test_the_host_of_an_allowed_origin_is_a_name_of_the_service() -> None:
    policy = AccessPolicy("127.0.0.1", ["https://app.example.com"])

    assert policy.check(request("app.example.com")) is None
    assert policy.check(request("other.example.com")) is not None


@pytest.mark.parametrize(
    "text", ["app.example.com", "https://", "https://a/path", "", "*", "http://["]
)
def test_what_is_not_an_origin_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not an origin"):
        AccessPolicy("127.0.0.1", [text])


# --------------------------------------------------------------------- reading


def test_a_request_is_complete_with_its_body_in_any_pieces() -> None:
    data = b"POST /x?y=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
    reader = RequestReader()
    for at in range(len(data)):
        assert not reader.is_complete
        reader.feed(data[at : at + 1])

    assert reader.is_complete
    assert reader.request is not None
    assert (reader.request.method, reader.request.path) == ("POST", "/x")
    assert reader.request.query == "y=1"


def test_a_handshake_is_kept_as_it_was_sent() -> None:
    data = b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\r\n"
    reader = RequestReader()
    reader.feed(data[:20])
    reader.feed(data[20:] + b"frame")

    assert reader.is_complete
    assert reader.request is not None
    assert reader.request.is_upgrade
    assert reader.data == data + b"frame"


def test_a_client_that_waits_before_its_body_is_not_kept_waiting() -> None:
    reader = RequestReader()
    reader.feed(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )

    assert reader.is_complete


def test_a_body_without_end_is_answered() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
    while not reader.is_complete:
        reader.feed(bytes(100_000))

    assert reader.error is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 99_999,
    ],
)
def test_what_is_not_a_request_is_answered_with_an_error(data: bytes) -> None:
    reader = RequestReader()
    reader.feed(data)
    if not reader.is_complete:
        reader.feed(b"")

    assert reader.error is not None
    assert reader.error.status in (400, 431)


def test_an_answer_to_head_has_no_body() -> None:
    answer = HttpAnswer(404, {"detail": "Not Found"})

    assert answer.encode(with_body=False).endswith(b"\r\n\r\n")
    assert answer.encode().endswith(b'{"detail": "Not Found"}')
