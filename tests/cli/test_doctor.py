from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = str(Path(__file__).parents[2])
KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "s3cr3t-t0k3n-of-orders"
PASSWORD = "hunter2hunter2"
AGENT = """\
version: 1
name: x
prompt: Be brief.
tools:
- plugin: end_call
- python: tool.py:look_up
"""
TOOL = '''
import os, sys
print("written to stdout")
os.write(2, b"written to stderr")

def look_up(order: str) -> str:
    """Look an order up."""
    return order
'''


def vagent_doctor(
    folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, without models and without a sound server."""
    left_out = ("ASSEMBLYAI_API_KEY", "VAGENT_SERVICE_KEY", "PULSE_SERVER", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return subprocess.run(
        [sys.executable, "-m", "runner", "doctor", *arguments],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        timeout=60,
        env={
            **kept,
            "PYTHONPATH": ROOT,
            "PYTHONIOENCODING": "utf-8",
            "VAGENT_MODELS": str(folder / "models"),
            "XDG_RUNTIME_DIR": str(folder),
            "COLUMNS": "80",
            **environment,
        },
    )


@pytest.fixture(scope="module")
def machine(
    tmp_path_factory: pytest.TempPathFactory,
) -> subprocess.CompletedProcess[str]:
    """What is said of this machine and an agent that is fine, as JSON."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "agent.yaml").write_text(AGENT)
    (folder / "tool.py").write_text(TOOL)
    return vagent_doctor(
        folder,
        "agent.yaml",
        "--json",
        "--no-audio",
        ASSEMBLYAI_API_KEY=KEY,
        ORDERS_TOKEN=TOKEN,
        HTTP_PROXY=f"http://jane:{PASSWORD}@proxy.example.com:8080",
    )


@pytest.fixture(scope="module")
def lines(machine: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.stdout.splitlines()]


def test_each_line_of_json_is_a_finding_of_stable_shape(
    lines: list[dict[str, Any]],
) -> None:
    for line in lines:
        assert list(line) == ["type", "name", "state", "detail", "fix"]
        assert line["type"] == "vagent.check"
        assert line["state"] in ("ok", "failed", "skipped")
        assert isinstance(line["detail"], str)
        assert line["fix"] is None or isinstance(line["fix"], str)
    names = [line["name"] for line in lines]
    assert len(names) == len(set(names))


def test_everything_is_looked_at_in_order(lines: list[dict[str, Any]]) -> None:
    names = [line["name"] for line in lines]

    assert [each for each in names if not each.startswith(("model-", "port-"))] == [
        "python",
        "packages",
        "extra-echo",
        "extra-local",
        "extra-fast",
        "extra-otel",
        "portaudio",
        "microphone",
        "speaker",
        "loop",
        "echo",
        "memory",
        "disk",
        "key",
        "service",
        "online",
        "clock",
        "clock-online",
        "proxy",
        "loopback",
        "terminal",
        "agent",
        "agent-tools",
        "agent-variables",
    ]


def test_a_machine_with_what_a_call_by_text_needs_is_well(
    machine: subprocess.CompletedProcess[str], lines: list[dict[str, Any]]
) -> None:
    failed = [line for line in lines if line["state"] == "failed"]

    assert failed == []
    assert machine.returncode == 0


def test_secrets_are_shown_nowhere(machine: subprocess.CompletedProcess[str]) -> None:
    for secret in (KEY, TOKEN, PASSWORD):
        assert secret not in machine.stdout + machine.stderr
    assert "ASSEMBLYAI_API_KEY is set, from the shell" in machine.stdout


def test_what_tools_write_does_not_get_between_the_lines(
    machine: subprocess.CompletedProcess[str],
) -> None:
    assert "written to" not in machine.stdout + machine.stderr
    assert machine.stderr == ""


@pytest.fixture(scope="module")
def broken(
    tmp_path_factory: pytest.TempPathFactory,
) -> subprocess.CompletedProcess[str]:
    """What is said of a package that does not load, and of a bad file."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "agent.yaml").write_text("version: 1\nname: x\n")
    (folder / "soxr.py").write_text("raise ImportError('libsoxr.so.0 is missing')\n")
    path = os.pathsep.join([str(folder), ROOT])
    return vagent_doctor(folder, "agent.yaml", "--no-audio", PYTHONPATH=path)


def test_something_to_mend_is_marked_counted_and_an_exit_code(
    broken: subprocess.CompletedProcess[str],
) -> None:
    done = broken

    assert done.returncode == 1
    assert "✗ agent              agent.yaml: 1 error, " in done.stdout
    assert "→ vagent validate agent.yaml\n" in done.stdout
    assert "→ vagent models fetch joe\n" in done.stdout
    assert done.stderr.endswith(" to mend\n")
    assert "Traceback" not in done.stdout + done.stderr


def test_a_package_that_does_not_load_stops_only_what_needs_it(
    broken: subprocess.CompletedProcess[str],
) -> None:
    page = " ".join(broken.stdout.split())

    assert "cannot be loaded: libsoxr.so.0 is missing" in page
    assert f"{sys.executable} -m pip install --force-reinstall 'soxr>=0.5'" in page
    assert "✗ loop this check cannot be loaded: libsoxr.so.0 is missing" in page
    assert "→ see the line `packages`" in page
    assert "✓ clock " in page


@pytest.mark.parametrize(
    "arguments", [("--port", "70000"), ("--var", "nothing"), ("a.yaml", "b.yaml")]
)
def test_wrong_usage_is_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert vagent_doctor(tmp_path, *arguments).returncode == 2
