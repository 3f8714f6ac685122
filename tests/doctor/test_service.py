from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runner.doctor.findings import Finding, State
from runner.doctor.platforms import Platform
from runner.doctor.service import (
    check_clock_online,
    check_online,
    check_service,
    judge_opening,
    judge_service_clock,
    mend_way,
)
from runner.doctor.wishes import Wishes
from runner.errors import TransportError
from runner.services import Service
from tests.doctor.services import Desk, attended

LINUX = Platform("linux", ("debian",))
KEY = "0123456789abcdef0123456789abcdef"
FAR = "wss://agents.example.com/v1/ws"


def error(code: str) -> str:
    return json.dumps({"type": "session.error", "code": code, "message": "sorry"})


async def judged(desk: Desk, key: str | None = KEY) -> Finding:
    async with attended(desk) as url:
        service = Service("mine", url, "as asked", key)
        judge = partial(judge_opening, service, url, LINUX)
        finding = await asyncio.to_thread(judge)
    assert KEY not in f"{finding}"
    return finding


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nothing listens; the port is kept from others."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"ws://127.0.0.1:{kept.getsockname()[1]}/v1/ws"


async def test_a_service_that_opens_a_session_takes_the_key() -> None:
    with_key, without = await judged(Desk()), await judged(Desk(), None)

    assert (with_key.state, without.state) == (State.OK, State.OK)
    assert with_key.detail.startswith("mine takes the key and opened a session in ")
    assert without.detail.startswith("mine opened a session in ")


@pytest.mark.parametrize(
    ("desk", "detail", "fix"),
    [
        (Desk(status=401), "does not accept the key (HTTP 401)", "check the key"),
        (Desk(status=403), "answered HTTP 403", "check the account, or the proxy"),
        (Desk(status=503), "answered HTTP 503", "the service is busy"),
        (
            Desk(close=(1008, "bad key")),
            "1008: bad key) (refused: key, configuration or resume)",
            "check the key",
        ),
        (Desk(close=(1013, "")), "overloaded", "the service is busy"),
        (Desk(says=error("unauthorized")), "sorry (unauthorized)", "get a key"),
        (Desk(says=error("at_capacity")), "sorry (at_capacity)", "the service is busy"),
        (Desk(says=error("new_code")), "sorry (new_code)", "what the service says"),
    ],
)
async def test_each_way_of_turning_a_call_away_has_its_sentence(
    desk: Desk, detail: str, fix: str
) -> None:
    finding = await judged(desk)

    assert finding.state is State.FAILED
    assert detail in finding.detail
    assert (finding.fix or "").startswith(fix)


async def test_a_service_that_wants_a_key_names_the_variable() -> None:
    finding = await judged(Desk(status=401), None)

    assert "VAGENT_SERVICE_KEY" in (finding.fix or "")


def test_where_nobody_listens_the_address_is_to_be_corrected(nobody: str) -> None:
    finding = judge_opening(Service("mine", nobody, "as asked"), nobody, LINUX)

    assert finding.state is State.FAILED
    assert "cannot reach" in finding.detail
    assert finding.fix == "start the server there, or correct the address"


def causing(cause: Exception) -> TransportError:
    failure = TransportError("cannot reach it")
    failure.__cause__ = cause
    return failure


def test_why_there_is_no_way_decides_what_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ssl

    for name in ("wss_proxy", "https_proxy", "all_proxy", "socks_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    unknown = mend_way(causing(socket.gaierror(-2, "unknown")), FAR, LINUX)
    untrusted = mend_way(causing(ssl.SSLCertVerificationError(1, "self")), FAR, LINUX)
    slow = mend_way(causing(TimeoutError()), FAR, LINUX)
    monkeypatch.setenv("https_proxy", "http://a:b@proxy:3128")
    behind = mend_way(causing(ConnectionRefusedError()), FAR, LINUX)

    assert unknown.startswith("check the network: the name agents.example.com")
    assert untrusted.startswith("sudo timedatectl set-ntp true")
    assert "SSL_CERT_FILE" in untrusted
    assert slow.startswith("check the network, and that a firewall")
    assert "the proxy http://***@proxy:3128 lets agents.example.com" in behind


def test_the_service_is_named_and_not_called_unless_asked(tmp_path: Path) -> None:
    wishes = Wishes({"ASSEMBLYAI_API_KEY": KEY}, tmp_path)
    (service,), (online,) = check_service(wishes), check_online(wishes)
    (clock,) = check_clock_online(wishes)

    assert service.detail == "AssemblyAI (ASSEMBLYAI_API_KEY is set)"
    assert (service.state, online.state) == (State.OK, State.SKIPPED)
    assert clock.state is State.SKIPPED
    assert online.fix == clock.fix == "vagent doctor --online"


def test_the_embedded_server_needs_no_network(tmp_path: Path) -> None:
    wishes = Wishes({}, tmp_path, online=True)
    (online,), (clock,) = check_online(wishes), check_clock_online(wishes)

    assert (online.state, clock.state) == (State.SKIPPED, State.SKIPPED)


def test_a_service_that_is_none_is_told_once(tmp_path: Path) -> None:
    wishes = Wishes({}, tmp_path, service="https://example.com", online=True)
    (service,), (online,) = check_service(wishes), check_online(wishes)

    assert service.state is State.FAILED
    assert service.detail == "'https://example.com' is not a service"
    assert online.state is State.SKIPPED


def test_the_agent_file_chooses_the_service(tmp_path: Path) -> None:
    agent = tmp_path / "agent.yaml"
    agent.write_text(
        f"version: 1\nname: x\nprompt: Be brief.\nservice: {{url: '{FAR}'}}\n"
    )
    (service,) = check_service(Wishes({}, tmp_path, agent))

    assert service.detail == f"{FAR} (as the agent file says)"


async def test_a_service_on_this_machine_is_called_on(
    tmp_path: Path, nobody: str
) -> None:
    async with attended(Desk()) as url:
        (there,) = await asyncio.to_thread(
            lambda: list(check_service(Wishes({}, tmp_path, service=url)))
        )
    (gone,) = check_service(Wishes({}, tmp_path, service=nobody))

    assert there.detail.endswith("something listens there")
    assert gone.state is State.FAILED
    assert (gone.fix or "").startswith("vagent service --port ")


async def test_the_clock_is_held_against_the_date_of_the_service() -> None:
    async with attended(Desk(status=404)) as url:
        finding = await asyncio.to_thread(partial(judge_service_clock, url, LINUX))

    assert finding.state is State.OK
    assert finding.detail.startswith("within ")


def test_a_service_that_cannot_be_asked_for_the_time_says_why(nobody: str) -> None:
    finding = judge_service_clock(nobody, LINUX)

    assert finding.state is State.FAILED
    assert finding.detail.startswith("cannot ask 127.0.0.1 for the time (")


def test_a_missing_key_is_told_in_one_line_only(tmp_path: Path) -> None:
    (service,) = check_service(Wishes({}, tmp_path, service="assemblyai"))

    assert service == Finding(
        "service", State.SKIPPED, "AssemblyAI, once there is a key"
    )
