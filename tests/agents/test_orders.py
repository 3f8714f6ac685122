from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from agents.tools.orders import ORDERS, serve

SCRIPT = Path(__file__).parents[2] / "agents/tools/orders.py"


def get(url: str, path: str) -> tuple[int, str | None, Any]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    return response.status, response.getheader("Content-Type"), body


def test_an_order_is_answered_as_json() -> None:
    with serve() as url:
        assert get(url, "/orders/1234") == (
            200,
            "application/json",
            {"order_id": "1234", **ORDERS["1234"]},
        )


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/orders/0000", "no such order"),
        ("/orders/12%2034", "no such order"),
        ("/orders/", "no such page"),
        ("/orders/1234/x", "no such page"),
        ("/", "no such page"),
    ],
)
def test_what_is_not_there_is_a_404_with_a_sentence(path: str, error: str) -> None:
    with serve() as url:
        assert get(url, path) == (404, "application/json", {"error": error})


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="a console event there, not a signal")
def test_the_script_prints_its_address_and_ends_with_ctrl_c() -> None:
    with start("--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert get(url, "/orders/5678")[0] == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, "", "")


def test_a_port_in_use_is_said() -> None:
    with serve() as url:
        port = url.rpartition(":")[2]
        with start("--port", port) as process:
            out, err = process.communicate(timeout=30)

    assert (process.returncode, out) == (3, "")
    assert err.startswith(f"port {port} cannot be used: ")


def test_a_port_that_is_none_is_said() -> None:
    with start("--port", "70000") as process:
        _, err = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "there is no port 70000" in err
