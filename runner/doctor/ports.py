"""Whether this machine lets a program listen, and where it would."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.wishes import Wishes

HOST = "127.0.0.1"
SERVE_PORT = 8765  # the default of `vagent service`


def check_ports(wishes: Wishes) -> Iterator[Finding]:
    """Listen for a moment: on any port, and on those that are meant to be free."""
    yield judge_loopback(HOST)
    yield judge_port(SERVE_PORT, is_asked=SERVE_PORT in wishes.ports)
    for port in wishes.ports:
        if port != SERVE_PORT:
            yield judge_port(port, is_asked=True)


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


def judge_port(port: int, *, is_asked: bool) -> Finding:
    """Judge whether a port can be listened on.

    One that nobody `is_asked` about may well be held by a server that runs already.
    """
    name = f"port-{port}"
    about = " (the default of vagent service)" if port == SERVE_PORT else ""
    try:
        with socket.create_server((HOST, port)):
            return passed(name, f"free{about}")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        detail = f"cannot be had{about}: {reason}"
    if is_asked:
        return failed(name, detail, "choose another port, or end what holds this one")
    return skipped(name, detail, "vagent service --port 0")
