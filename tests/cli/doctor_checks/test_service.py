from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runner.cli.doctor_checks.model import CheckResult, DoctorOptions, Platform, State
from runner.cli.doctor_checks.service import (
    check_clock_online,
    check_online,
    check_service,
    judge_service_clock,
    judge_session,
    network_advice,
)
from runner.engine.services import Service
from runner.errors import TransportError
from tests.cli.doctor_checks.services import FakeService, running

LINUX = Platform("linux", ("debian",))
KEY = "0123456789abcdef0123456789abcdef"
FAR = "wss://agents.example.com/v1/ws"


def error(code: str) -> str:
    return json.dumps({"type": "session.error", "code": code, "message": "sorry"})


async def judged(fake: FakeService, key: str | None = KEY) -> CheckResult:
    async with running(fake) as url:
        service = Service("mine", url, "as asked", key)
        judge = partial(judge_session, service, url, LINUX)
        result = await asyncio.to_thread(judge)
    assert KEY not in f"{result}"
    return result


@pytest.fixture
def unused() -> Iterator[str]:
    """An address without a server; the port stays bound."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"ws://127.0.0.1:{kept.getsockname()[1]}/v1/ws"


async def test_a_service_that_opens_a_session_accepts_the_key() -> None:
    with_key, without = await judged(FakeService()), await judged(FakeService(), None)

    assert (with_key.state, without.state) == (State.OK, State.OK)
    assert with_key.detail.startswith("mine accepted the key and opened a session in ")
    assert without.detail.startswith("mine opened a session in ")


@pytest.mark.parametrize(
    ("fake", "detail", "fix"),
    [
        (
            FakeService(status=401),
            "does not accept the key (HTTP 401)",
            "check the key",
        ),
        (
            FakeService(status=403),
            "answered HTTP 403",
            "check the account, or the proxy",
        ),
        (FakeService(status=503), "answered HTTP 503", "the service is busy"),
        (
            FakeService(close=(1008, "bad key")),
            "1008: bad key) (refused: key, configuration or resume)",
            "check the key",
        ),
        (FakeService(close=(1013, "")), "overloaded", "the service is busy"),
        (FakeService(says=error("unauthorized")), "sorry (unauthorized)", "get a key"),
        (
            FakeService(says=error("at_capacity")),
            "sorry (at_capacity)",
            "the service is busy",
        ),
        (
            FakeService(says=error("new_code")),
            "sorry (new_code)",
            "see the documentation",
        ),
    ],
)
async def test_each_rejection_has_its_detail_and_fix(
    fake: FakeService, detail: str, fix: str
) -> None:
    result = await judged(fake)

    assert result.state is State.FAILED
    assert detail in result.detail
    assert (result.fix or "").startswith(fix)


async def test_a_service_that_requires_a_key_has_the_variable() -> None:
    result = await judged(FakeService(status=401), None)

    assert "VAGENT_SERVICE_KEY" in (result.fix or "")


def test_an_address_without_a_server_fails(unused: str) -> None:
    result = judge_session(Service("mine", unused, "as asked"), unused, LINUX)

    assert result.state is State.FAILED
    assert "cannot reach" in result.detail
    assert result.fix == "start the server there, or correct the address"


def causing(cause: Exception) -> TransportError:
    failure = TransportError("cannot reach it")
    failure.__cause__ = cause
    return failure


def test_the_fix_depends_on_the_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ssl

    for name in ("wss_proxy", "https_proxy", "all_proxy", "socks_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    unknown = network_advice(causing(socket.gaierror(-2, "unknown")), FAR, LINUX)
    untrusted = network_advice(
        causing(ssl.SSLCertVerificationError(1, "self")), FAR, LINUX
    )
    slow = network_advice(causing(TimeoutError()), FAR, LINUX)
    monkeypatch.setenv("https_proxy", "http://a:b@proxy:3128")
    behind = network_advice(causing(ConnectionRefusedError()), FAR, LINUX)

    assert unknown.startswith("check the network: the name agents.example.com")
    assert untrusted.startswith("sudo timedatectl set-ntp true")
    assert "SSL_CERT_FILE" in untrusted
    assert slow.startswith("check the network, and that a firewall")
    assert "the proxy http://***@proxy:3128 lets agents.example.com" in behind


def test_the_service_is_contacted_only_with_online(tmp_path: Path) -> None:
    options = DoctorOptions({"ASSEMBLYAI_API_KEY": KEY}, tmp_path)
    (service,), (online,) = check_service(options), check_online(options)
    (clock,) = check_clock_online(options)

    assert service.detail == "AssemblyAI (ASSEMBLYAI_API_KEY is set)"
    assert (service.state, online.state) == (State.OK, State.SKIPPED)
    assert clock.state is State.SKIPPED
    assert online.fix == clock.fix == "vagent doctor --online"


def test_the_embedded_server_needs_no_network(tmp_path: Path) -> None:
    options = DoctorOptions({}, tmp_path, online=True)
    (online,), (clock,) = check_online(options), check_clock_online(options)

    assert (online.state, clock.state) == (State.SKIPPED, State.SKIPPED)


def test_an_invalid_service_is_reported_once(tmp_path: Path) -> None:
    options = DoctorOptions({}, tmp_path, service="https://example.com", online=True)
    (service,), (online,) = check_service(options), check_online(options)

    assert service.state is State.FAILED
    assert service.detail == "'https://example.com' is not a service"
    assert online.state is State.SKIPPED


def test_the_agent_file_chooses_the_service(tmp_path: Path) -> None:
    agent = tmp_path / "agent.yaml"
    agent.write_text(
        f"version: 1\nname: x\nprompt: Be brief.\nservice: {{url: '{FAR}'}}\n"
    )
    (service,) = check_service(DoctorOptions({}, tmp_path, agent))

    assert service.detail == f"{FAR} (as the agent file says)"


async def test_a_service_on_this_machine_is_contacted(
    tmp_path: Path, unused: str
) -> None:
    async with running(FakeService()) as url:
        (there,) = await asyncio.to_thread(
            lambda: list(check_service(DoctorOptions({}, tmp_path, service=url)))
        )
    (gone,) = check_service(DoctorOptions({}, tmp_path, service=unused))

    assert there.detail.endswith("a server is listening")
    assert gone.state is State.FAILED
    assert (gone.fix or "").startswith("vagent service --port ")


async def test_the_clock_is_compared_with_the_date_of_the_service() -> None:
    async with running(FakeService(status=404)) as url:
        result = await asyncio.to_thread(partial(judge_service_clock, url, LINUX))

    assert result.state is State.OK
    assert result.detail.startswith("within ")


def test_a_service_without_a_connection_has_the_reason(unused: str) -> None:
    result = judge_service_clock(unused, LINUX)

    assert result.state is State.FAILED
    assert result.detail.startswith("cannot get the date from 127.0.0.1 (")


def test_a_missing_key_is_reported_in_one_line_only(tmp_path: Path) -> None:
    (service,) = check_service(DoctorOptions({}, tmp_path, service="assemblyai"))

    assert service == CheckResult(
        "service", State.SKIPPED, "AssemblyAI, once a key is set"
    )
