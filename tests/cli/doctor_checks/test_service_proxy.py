from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli.doctor_checks.model import CheckResult, DoctorOptions, Platform, State
from runner.cli.doctor_checks.service import (
    check_proxy,
    judge_proxy,
    without_credentials,
)

LINUX = Platform("linux")
HOST = "agents.example.com"


def judge(proxy: str | None, *, has_socks: bool = True) -> CheckResult:
    return judge_proxy(proxy, HOST, "", LINUX, has_socks=has_socks)


def test_no_proxy_is_skipped() -> None:
    assert judge(None).state is State.SKIPPED


def test_variables_that_do_not_apply_are_shown() -> None:
    result = judge_proxy(None, HOST, "NO_PROXY=*", LINUX, has_socks=False)

    assert result.state is State.OK
    assert result.detail == f"none for {HOST} (NO_PROXY=*)"


def test_a_proxy_is_shown_without_credentials() -> None:
    result = judge("http://jane:hunter2@proxy.example.com:8080")

    assert result.state is State.OK
    assert result.detail == f"http://***@proxy.example.com:8080 for {HOST}"


@pytest.mark.parametrize("address", ["proxy.example.com:8080", "ftp://a:1", "http://"])
def test_an_invalid_address_fails(address: str) -> None:
    result = judge(address)

    assert result.state is State.FAILED
    assert result.fix == "export HTTPS_PROXY=http://HOST:PORT"


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
def test_credentials_are_removed(address: str, shown: str) -> None:
    assert without_credentials(address) == shown


def test_the_proxy_is_that_of_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "wss_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://u:secret@proxy:3128")
    environment = {"HTTPS_PROXY": "http://u:secret@proxy:3128"}

    far = "wss://agents.example.com/v1/ws"
    (away,) = check_proxy(DoctorOptions(environment, tmp_path, service=far))
    (near,) = check_proxy(
        DoctorOptions(environment, tmp_path, service="ws://localhost:1/ws")
    )

    assert away.detail == (
        "http://***@proxy:3128 for agents.example.com "
        "(HTTPS_PROXY=http://***@proxy:3128)"
    )
    assert near.detail.startswith("none for localhost")
