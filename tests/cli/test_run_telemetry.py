"""`vagent run` with --metrics, --otel and --log-file, as a process."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from runner.cli.main import build_app
from runner.errors import VagentError
from runner.protocol.messages import (
    ReplyDone,
    ReplyStarted,
    SessionEnded,
    ToolCall,
    TranscriptUser,
)
from tests.observers.test_tracing_collector import ENDPOINT, collector
from tests.terminal import Terminal, running, service

SECRET = "k3y/with space+and&more"
AGENT = """\
version: 1
name: tester
prompt: You test.
local:
  llm: {url: http://127.0.0.1:9/v1, model: none, key: "${env:TEST_TOKEN}"}
tools:
  - python: tool.py:echo
"""
TOOL = '''\
import logging
import os
from urllib.parse import quote


def echo(text: str) -> str:
    """Say what it knows.

    Args:
        text: Anything.
    """
    key = os.environ["TEST_TOKEN"]
    logging.getLogger("library").warning("GET http://x/?key=%s", quote(key))
    return f"{text} {key}"
'''
HAS_FULL_DISK = Path("/dev/full").exists()  # only Linux has one
OPTIONS = ("--input", "text", "--output", "null", "--no-record")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEST_TOKEN", SECRET)
    (tmp_path / "tool.py").write_text(TOOL, "utf-8")
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT, "utf-8")
    return path


async def hold_call(agent: Path, *options: str | Path) -> tuple[Terminal, int]:
    """Holds a call with one tool call; returns its output."""
    async with (
        service() as (far_end, url),
        running("run", agent, "--service", url, *OPTIONS, *options) as (terminal, _),
    ):
        await terminal.said("session.ready")
        await far_end.say(
            TranscriptUser(f"My key is {SECRET}."),
            ReplyStarted("r1"),
            ToolCall("call_1", "echo", {"text": SECRET}),
            ReplyDone("r1"),
        )
        await far_end.got("tool.result", "call_id", "call_1")
        await far_end.say(SessionEnded(1.0))
        return terminal, await terminal.ended()


def entries(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def test_a_log_has_the_call_and_no_secret(agent: Path, tmp_path: Path) -> None:
    path = tmp_path / "call.log"
    terminal, code = await hold_call(
        agent, "--log-file", path, "--log-format", "json", "-v"
    )

    assert code == 0
    text = path.read_text("utf-8")
    found = entries(text)
    assert len(found) == len(text.splitlines())
    [ended] = [each for each in found if each["event"] == "tool.ended"]
    assert (ended["call"], ended["outcome"]) == ("call_1", "ok")
    assert ended["result"] == "*** ***"
    [stray] = [each for each in found if each.get("library") == "library"]
    assert stray["text"] == "GET http://x/?key=***"
    assert found[-1]["event"] == "call.ended"
    for each in (text, terminal.out):
        assert "k3y" not in each
        assert "more" not in each


async def test_records_of_libraries_are_redacted_notices_without_a_log(
    agent: Path,
) -> None:
    terminal, _ = await hold_call(agent)

    assert "* library: GET http://x/?key=***\n" in terminal.out
    assert "k3y" not in terminal.out


async def test_a_log_without_a_file_goes_to_stderr(agent: Path) -> None:
    terminal, _ = await hold_call(agent, "--quiet", "--log-format", "json")

    assert {"call.started", "session.ready", "tool.ended", "call.ended"} <= {
        each["event"] for each in entries(terminal.out)
    }


async def test_a_call_can_be_scraped_and_its_trace_reaches_the_collector(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as server:
        monkeypatch.setenv(ENDPOINT, server.url)
        options = (*OPTIONS, "--metrics", "0", "--otel")
        async with (
            service() as (far_end, url),
            running("run", agent, "--service", url, *options) as (terminal, _),
            httpx.AsyncClient() as scraper,
        ):
            await terminal.said("session.ready")
            call = ToolCall("call_1", "echo", {"text": "x"})
            await far_end.say(ReplyStarted("r1"), call, ReplyDone("r1"))
            await far_end.got("tool.result", "call_id", "call_1")
            found = re.search(r"http://127\.0\.0\.1:\d+/metrics", terminal.out)
            assert found is not None
            text = (await scraper.get(found[0])).text
            await far_end.say(SessionEnded(1.0))
            assert await terminal.ended() == 0

    who = 'agent="tester",outcome="ok",service="local",tool="echo"'
    assert f"vagent_tool_call_duration_seconds_count{{{who}}} 1.0" in text
    assert 'vagent_turns_total{agent="tester",by="agent",service="local"} 1.0' in text
    assert set(server.names) == {"invoke_agent tester", "execute_tool echo", "turn"}


def fail(agent: Path, *options: str | Path) -> VagentError:
    """Returns the error of a call that could not start."""
    arguments = ["run", str(agent), *OPTIONS, *map(str, options)]
    ended = CliRunner().invoke(build_app("run"), arguments)
    assert isinstance(ended.exception, VagentError), ended.output
    return ended.exception


def test_a_port_in_use_fails_before_the_call(agent: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = fail(agent, "--metrics", str(port))

    assert error.exit_code == 3
    assert f"cannot serve metrics on 127.0.0.1:{port}" in error.message


def test_an_unwritable_log_fails_before_the_call(agent: Path) -> None:
    path = agent.parent / "missing" / "log"
    error = fail(agent, "--log-file", path)

    assert error.exit_code == 3
    assert error.message.startswith(f"cannot write log '{path}': ")


def test_an_invalid_port_or_format_is_wrong_usage(agent: Path) -> None:
    for wrong in (("--metrics", "70000"), ("--log-format", "xml")):
        error = fail(agent, *wrong)

        assert error.exit_code == 2
        assert wrong[1] in error.message


async def test_neither_a_missing_collector_nor_a_full_disk_ends_the_call(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    log = ("--log-file", "/dev/full") if HAS_FULL_DISK else ()
    terminal, code = await hold_call(agent, "--otel", *log)

    assert code == 0
    assert terminal.out.count("traces: the collector does not accept spans") == 1
    assert terminal.out.count("log '/dev/full' stopped") == HAS_FULL_DISK
    assert "Traceback" not in terminal.out
    assert "Connection refused" not in terminal.out


async def test_a_missing_extra_has_the_command_that_installs_it(
    agent: Path,
) -> None:
    hide = "import sys; sys.modules['opentelemetry.exporter'] = None; "
    start = "from runner.cli.main import run_command_line; run_command_line()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", hide + start, "run", str(agent), *OPTIONS, "--otel"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await process.communicate()

    assert process.returncode == 3
    assert b"--otel needs OpenTelemetry" in out
    assert b"pip install 'vagent[otel]'" in out


async def test_telemetry_is_not_loaded_when_it_is_off(
    agent: Path, tmp_path: Path
) -> None:
    """A tool of the agent reads the loaded modules during the call."""
    look = (
        "import sys\n\n\ndef echo(text: str) -> list:\n"
        '    """Look.\n\n    Args:\n        text: Anything.\n    """\n'
        "    names = ('runner.observers.telemetry', 'prometheus_client',"
        " 'opentelemetry')\n"
        "    return sorted(each for each in sys.modules if each.startswith(names))\n"
    )
    (tmp_path / "tool.py").write_text(look, "utf-8")
    async with (
        service() as (far_end, url),
        running("run", agent, "--service", url, *OPTIONS) as (terminal, _),
    ):
        await terminal.said("session.ready")
        await far_end.say(ReplyStarted("r1"), ToolCall("call_1", "echo", {"text": ""}))
        await far_end.say(ReplyDone("r1"))
        result = await far_end.got("tool.result", "call_id", "call_1")
        await far_end.say(SessionEnded(1.0))
        await terminal.ended()

    assert json.loads(result["result"]) == []
