"""Whether this machine lets a program listen, and where it would."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from runner.doctor.findings import Finding, failed, passed
from runner.doctor.wishes import Wishes

HOST = "127.0.0.1"
SERVE_PORT = 8765  # the default of `vagent serve`


def check_ports(wishes: Wishes) -> Iterator[Finding]:
    """Listen for a moment: on any port, and on those that are meant to be free."""
    yield judge_loopback(HOST)
    yield judge_port(
        SERVE_PORT, "vagent serve --port 0  # or end what holds it", "of vagent serve"
    )
    for port in wishes.ports:
        yield judge_port(port, f"end what holds it, or choose another than {port}", "")


def judge_loopback(host: str) -> Finding:
    """Judge whether a server for this machine alone can be had: a local call is one."""
    try:
        with socket.create_server((host, 0)) as server:
            port = server.getsockname()[1]
    except OSError as error:
        return failed(
            "loopback",
            f"cannot listen on {host}: {error.strerror or error}",
            "let the firewall, or the sandbox, allow connections to 127.0.0.1",
        )
    return passed("loopback", f"can listen on {host} (was given port {port})")


def judge_port(port: int, fix: str, what: str) -> Finding:
    """Judge whether a port can be listened on."""
    name = f"port-{port}"
    about = f" ({what})" if what else ""
    try:
        with socket.create_server((HOST, port)):
            return passed(name, f"free{about}")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return failed(name, f"cannot be had{about}: {reason}", fix)
