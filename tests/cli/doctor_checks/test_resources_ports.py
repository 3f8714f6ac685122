from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.cli.doctor_checks.model import DoctorOptions, State
from runner.cli.doctor_checks.resources import (
    HOST,
    check_ports,
    judge_loopback,
    judge_port,
)


@pytest.fixture
def used() -> Iterator[int]:
    """A port in use."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_required_port_must_be_free(used: int) -> None:
    result = judge_port(used, is_required=True)

    assert result.name == f"port-{used}"
    assert result.state is State.FAILED
    assert result.fix == "choose another port, or end what uses this one"


def test_a_default_port_can_be_used_by_a_running_server(used: int) -> None:
    result = judge_port(used, is_required=False)

    assert result.state is State.SKIPPED
    assert result.fix == "vagent service --port 0"


def test_a_port_is_free_once_its_server_is_closed() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

    assert judge_port(port, is_required=True).state is State.OK


def test_an_address_of_another_machine_fails() -> None:
    result = judge_loopback("192.0.2.1")  # RFC 5737: for documentation

    assert result.state is State.FAILED
    assert result.detail.startswith("cannot listen on 192.0.2.1")


def test_each_port_has_one_line(tmp_path: Path) -> None:
    options = DoctorOptions({}, tmp_path, ports=(8765, 18_765))
    names = [each.name for each in check_ports(options)]

    assert names == ["loopback", "port-8765", "port-18765"]
