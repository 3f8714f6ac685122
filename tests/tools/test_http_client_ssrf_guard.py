from __future__ import annotations

import pytest

from runner.tools.http_client import find_proxy

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("variable", "value", "proxy"),
    [
        ("https_proxy", "http://proxy:3128", "http://proxy:3128"),
        ("https_proxy", "proxy:3128", "http://proxy:3128"),
        ("all_proxy", "http://proxy:3128", "http://proxy:3128"),
        ("http_proxy", "http://proxy:3128", None),
    ],
)
def test_the_proxy_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, proxy: str | None
) -> None:
    monkeypatch.setenv(variable, value)

    assert find_proxy("https", "api.example.com") == proxy


@pytest.mark.parametrize(
    "host", ["shop.example.com", "localhost", "127.0.0.1", "db.localhost", "::1"]
)
def test_some_hosts_have_no_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "shop.example.com")

    assert find_proxy("http", host) is None
