"""The metrics endpoint, tested over real sockets."""

from __future__ import annotations

import re
import socket

import httpx
import pytest

from runner.errors import TransportError
from runner.observers.metrics import serve_metrics


def body(accept: str) -> tuple[str, bytes]:
    return "text/plain", f"for {accept}\n".encode()


def test_metrics_are_answered_for_what_the_scraper_accepts() -> None:
    with serve_metrics(0, body) as url:
        answer = httpx.get(url, headers={"Accept": "this"})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text == "for this\n"


def test_the_endpoint_is_local_only() -> None:
    with serve_metrics(0, body) as url:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", url)


def test_other_paths_are_not_found() -> None:
    with serve_metrics(0, body) as url:
        answer = httpx.get(url.replace("/metrics", "/secrets"))

    assert answer.status_code == 404


def test_a_port_in_use_is_reported_with_a_hint() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(TransportError, match=f"127.0.0.1:{port}: ") as raised,
            serve_metrics(port, body),
        ):
            pass

    assert raised.value.exit_code == 3
    assert "--metrics 0" in (raised.value.hint or "")


def test_the_port_is_free_again_afterwards() -> None:
    with serve_metrics(0, body) as url:
        port = int(url.split(":")[2].split("/")[0])

    with serve_metrics(port, body):
        pass


def test_a_scraper_that_leaves_early_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serve_metrics(0, body) as url:
        port = int(url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as scraper:
            scraper.sendall(b"GET /metr")
        assert httpx.get(url).status_code == 200

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("host", ["rebind.evil.example", "", "192.0.2.1:9464"])
def test_a_web_page_cannot_read_the_metrics_under_its_own_name(host: str) -> None:
    with serve_metrics(0, body) as url:
        answer = httpx.get(url, headers={"Host": host})
        local = httpx.get(url, headers={"Host": "localhost:1"})

    assert answer.status_code == 403
    assert f"Host '{host}' is not allowed" in answer.json()["detail"]
    assert local.status_code == 200
