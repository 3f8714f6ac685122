"""`vagent service` as a process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from runner.cli.service import _describe_event

TIMEOUT_SECONDS = 30  # seconds


@contextmanager
def serving(*options: str, **popen: Any) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "runner", "service", "--no-models", *options]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def test_the_address_is_logged_and_a_closed_stdin_ends_the_service() -> None:
    with serving("--port", "0", "--log-json", "--exit-with-parent") as process:
        line = read_line(process)
        assert line["type"] == "vagent.listening"
        with connect(line["url"]) as call:
            call.send('{"type":"session.update","session":{}}')
            assert json.loads(call.recv())["type"] == "session.updated"
            assert read_line(process)["type"] == "vagent.session.opened"
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
            rest = [json.loads(text)["type"] for text in call]
        assert rest == ["session.ready", "session.ended"]
        assert process.wait(TIMEOUT_SECONDS) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent another way")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_an_interrupt_ends_the_calls_cleanly(sent: signal.Signals, code: int) -> None:
    with serving("--port", "0", "--log-json") as process:
        with connect(read_line(process)["url"]) as call:
            call.send('{"type":"session.update","session":{}}')
            call.recv()
            process.send_signal(sent)
            assert [json.loads(text)["type"] for text in call][-1] == "session.ended"
        stderr = process.communicate(timeout=TIMEOUT_SECONDS)[1]

    assert process.returncode == code
    assert "Traceback" not in stderr


def test_a_port_in_use_is_one_sentence_and_exit_code_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serving("--port", port) as process:
            stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 3
    assert stdout == ""
    assert f"cannot listen on 127.0.0.1:{port}" in stderr
    assert "--port" in stderr
    assert "Traceback" not in stderr


def test_a_model_name_without_an_endpoint_is_wrong_usage() -> None:
    with serving("--llm-model", "gpt") as process:
        stderr = process.communicate(timeout=TIMEOUT_SECONDS)[1]

    assert process.returncode == 2
    assert "'gpt'" in stderr


def test_faults_are_injected_and_logged(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("- error code=at_capacity phase=opening\n", "utf-8")
    options = (
        "--fault",
        str(path),
        "--fault",
        "refuse status=502",
        "--fault-seed",
        "7",
    )
    with serving("--port", "0", "--log-json", *options) as process:
        url = read_line(process)["url"]
        with pytest.raises(InvalidStatus):
            connect(url)
        with connect(url) as call:
            call.send('{"type":"session.update","session":{}}')
            assert json.loads(call.recv())["code"] == "at_capacity"
        told = [read_line(process) for _ in range(3)]

    assert [(line["type"], line["fault"]) for line in told] == [
        ("vagent.fault", "refuse status=502"),
        ("vagent.fault", "refuse status=502"),
        ("vagent.fault", "error code=at_capacity phase=opening"),
    ]
    assert told[-1]["did"] == "sent session.error at_capacity"


def test_the_faults_are_listed_without_serving() -> None:
    with serving("--fault", "help") as process:
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 0
    assert stderr == ""
    assert "half-open at=4s" in stdout


def test_an_invalid_fault_is_wrong_usage() -> None:
    with serving("--fault", "dorp at=4s") as process:
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 2
    assert stdout == ""
    assert "'dorp'" in stderr
    assert "did you mean 'drop'?" in stderr
    assert "--fault help" in stderr


def test_listening_beyond_this_machine_is_a_warning() -> None:
    with serving("--port", "0", "--host", "0.0.0.0", "--log-json") as process:
        first, second = read_line(process), read_line(process)

    assert first["type"] == "vagent.warning"
    assert "0.0.0.0" in first["message"]
    assert second["type"] == "vagent.listening"


@pytest.mark.parametrize(
    ("kind", "facts", "text"),
    [
        ("vagent.listening", {"url": "ws://x"}, "listening on ws://x"),
        (
            "vagent.missing",
            {"part": "brain", "reason": "r", "instead": "i", "command": "do this"},
            "do this",
        ),
        ("vagent.turn", {"session_id": "s", "first_audio_ms": 840}, "0.84 s"),
        ("vagent.session.closed", {"session_id": "s", "seconds": 9, "turns": 2}, "2 t"),
        (
            "vagent.fault",
            {"fault": "drop at=4s", "did": "dropped the connection", "at": 4.0},
            "fault at 4.00 s: dropped the connection (drop at=4s)",
        ),
        ("vagent.warning", {"message": "careful"}, "careful"),
    ],
)
def test_the_text_log_has_a_line_per_event(
    kind: str, facts: dict[str, Any], text: str
) -> None:
    assert text in _describe_event(kind, facts)


def test_sessions_are_counted_in_the_metrics() -> None:
    options = ("--port", "0", "--log-json", "--metrics", "0", "--exit-with-parent")
    with serving(*options) as process:
        metrics, listening = read_line(process), read_line(process)
        assert metrics["type"] == "vagent.metrics"
        with connect(listening["url"]) as call:
            call.send('{"type":"session.update","session":{}}')
            assert read_line(process)["type"] == "vagent.session.opened"
            text = httpx.get(metrics["url"]).text

    assert "vagent_service_sessions_started_total 1.0" in text
    assert "vagent_service_sessions_active 1.0" in text
