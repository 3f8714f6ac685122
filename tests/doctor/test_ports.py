from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.doctor.findings import State
from runner.doctor.ports import HOST, check_ports, judge_loopback, judge_port
from runner.doctor.wishes import Wishes


@pytest.fixture
def held() -> Iterator[int]:
    """A port that is listened on."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_was_asked_about_must_be_free(held: int) -> None:
    finding = judge_port(held, is_asked=True)

    assert finding.name == f"port-{held}"
    assert finding.state is State.FAILED
    assert finding.fix == "choose another port, or end what holds this one"


def test_a_default_port_may_be_held_by_a_server_that_runs(held: int) -> None:
    finding = judge_port(held, is_asked=False)

    assert finding.state is State.SKIPPED
    assert finding.fix == "vagent service --port 0"


def test_a_port_is_free_once_nobody_listens() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

    assert judge_port(port, is_asked=True).state is State.OK


def test_an_address_that_is_not_ours_cannot_be_listened_on() -> None:
    finding = judge_loopback("192.0.2.1")  # RFC 5737: for documentation

    assert finding.state is State.FAILED
    assert finding.detail.startswith("cannot listen on 192.0.2.1")


def test_each_port_has_one_line(tmp_path: Path) -> None:
    wishes = Wishes({}, tmp_path, ports=(8765, 18_765))
    names = [each.name for each in check_ports(wishes)]

    assert names == ["loopback", "port-8765", "port-18765"]
