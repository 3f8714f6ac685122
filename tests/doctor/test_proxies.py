from __future__ import annotations

from pathlib import Path

import pytest

from runner.doctor.findings import Finding, State
from runner.doctor.platforms import Platform
from runner.doctor.proxies import check_proxy, judge_proxy, without_credentials
from runner.doctor.wishes import Wishes

LINUX = Platform("linux")
HOST = "agents.example.com"


def judge(proxy: str | None, *, has_socks: bool = True) -> Finding:
    return judge_proxy(proxy, HOST, "", LINUX, has_socks=has_socks)


def test_without_a_proxy_there_is_nothing_to_say() -> None:
    assert judge(None).state is State.SKIPPED


def test_variables_that_do_not_count_here_are_shown() -> None:
    finding = judge_proxy(None, HOST, "NO_PROXY=*", LINUX, has_socks=False)

    assert finding.state is State.OK
    assert finding.detail == f"none for {HOST} (NO_PROXY=*)"


def test_a_proxy_is_shown_without_credentials() -> None:
    finding = judge("http://jane:hunter2@proxy.example.com:8080")

    assert finding.state is State.OK
    assert finding.detail == f"http://***@proxy.example.com:8080 for {HOST}"


@pytest.mark.parametrize("address", ["proxy.example.com:8080", "ftp://a:1", "http://"])
def test_what_is_no_address_of_a_proxy_is_told(address: str) -> None:
    finding = judge(address)

    assert finding.state is State.FAILED
    assert finding.fix == "export HTTPS_PROXY=http://HOST:PORT"


def test_socks_needs_a_package() -> None:
    without = judge("socks5h://proxy:1080", has_socks=False)

    assert judge("socks5h://proxy:1080").state is State.OK
    assert without.state is State.FAILED
    assert without.fix == "python -m pip install 'python-socks[asyncio]'"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://a:b@c:1", "http://***@c:1"),
        ("http://a:p@ss@c:1", "http://***@c:1"),
        ("a:b@c:1", "***@c:1"),
        ("http://c:1", "http://c:1"),
        ("localhost,.example.com", "localhost,.example.com"),
    ],
)
def test_no_part_of_the_credentials_is_left(address: str, shown: str) -> None:
    assert without_credentials(address) == shown


def test_the_proxy_is_the_one_that_a_call_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "wss_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://u:secret@proxy:3128")
    environment = {"HTTPS_PROXY": "http://u:secret@proxy:3128"}

    far = "wss://agents.example.com/v1/ws"
    (away,) = check_proxy(Wishes(environment, tmp_path, service=far))
    (near,) = check_proxy(Wishes(environment, tmp_path, service="ws://localhost:1/ws"))

    assert away.detail == (
        "http://***@proxy:3128 for agents.example.com "
        "(HTTPS_PROXY=http://***@proxy:3128)"
    )
    assert near.detail.startswith("none for localhost")
