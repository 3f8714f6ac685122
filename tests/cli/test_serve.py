"""`vagent serve` and `vagent token` as commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.cli.main import run_command

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef0123456789abcdef"
AGENT = "version: 1\nname: desk\nprompt: You help.\n"


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "desk.yaml").write_text(AGENT, "utf-8")
    return folder


@contextmanager
def served(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs the command until the block ends; yields the process and its first line."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "runner", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM handlers")
def test_a_folder_is_served_until_a_signal(agents: Path) -> None:
    with served(agents, "--port", 0, "--service", "ws://127.0.0.1:9/") as (
        process,
        url,
    ):
        assert url.endswith("/desk")
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = run_command(["serve", *map(str, arguments)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0"),
        (["--origin", "https://www.example.com"], "--origin https://www.example.com"),
        (["--host", "0.0.0.0", "--open"], "--open needs a limit"),
        (["--leave-after", "soon"], "'soon' is not a duration"),
        (["--origin", "example"], "is not an origin"),
    ],
)
def test_what_is_not_safe_or_clear_is_refused(
    agents: Path,
    options: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VAGENT_TOKEN_KEY", raising=False)
    code, shown = failure(capsys, agents, *options)
    assert (code, text in shown, "hint:" in shown) == (2, True, True), shown


def test_without_agents_the_command_explains_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, shown = failure(capsys)
    assert code == 2
    assert "vagent service" in shown


def test_a_port_in_use_is_named(
    agents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(agents, "--port", 0, "--service", "ws://127.0.0.1:9/") as (_, url):
        port = url.rpartition(":")[2].partition("/")[0]
        code, shown = failure(
            capsys, agents, "--port", port, "--service", "ws://127.0.0.1:9/"
        )
    assert code == 3
    assert f"127.0.0.1:{port}" in shown
    assert "hint: choose another port" in shown


def test_an_agent_with_errors_stops_the_start(
    agents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (agents / "desk.yaml").write_text("version: 1\nname: desk\nprompt: 3\n", "utf-8")
    code, shown = failure(
        capsys, agents / "desk.yaml", "--port", 0, "--service", "ws://127.0.0.1:9/"
    )
    assert code == 1
    assert "desk.yaml:3:9" in shown


def test_two_agents_of_one_name_are_refused(
    agents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (agents / "other.yaml").write_text(AGENT, "utf-8")
    code, shown = failure(capsys, agents, "--port", 0, "--service", "ws://127.0.0.1:9/")
    assert code == 2
    assert "two agents have the name 'desk'" in shown


def test_a_token_is_printed_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_TOKEN_KEY", KEY)
    assert run_command(["token", "desk", "--for", "u1", "--var", "name=Ada"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count(".") == 1
    assert KEY not in shown.out + shown.err


@pytest.mark.parametrize(
    ("key", "options", "text"),
    [
        ("", [], "VAGENT_TOKEN_KEY is not set"),
        ("short", [], "VAGENT_TOKEN_KEY is shorter"),
        (KEY, ["--ttl", "1 hour"], "is not a duration"),
        (KEY, ["--ttl", "20m"], "1 to 600 s"),
        (KEY, ["--var", "name"], "invalid --var"),
    ],
)
def test_a_token_that_cannot_be_made_says_why(
    key: str,
    options: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VAGENT_TOKEN_KEY", key)
    assert run_command(["token", "desk", "--for", "u1", *options]) == 2
    assert text in capsys.readouterr().err
