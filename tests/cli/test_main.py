"""The command line: loaded modules, help and errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runner.cli.main import COMMANDS, run_command

HEAVY = (
    "numpy",
    "websockets",
    "httpx",
    "jsonschema",
    "soundfile",
    "sounddevice",
    "asyncio",
    "yaml",
    "onnxruntime",
    "ctranslate2",
    "xllamacpp",
    "piper",
    "pydantic",
)
LISTING = """
import sys
from runner.cli.main import build_app
try:
    build_app(*{arguments!r}[:1])({arguments!r}, standalone_mode=False)
except SystemExit:
    pass
print("LOADED", *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def loaded_by(*arguments: str) -> set[str]:
    code = LISTING.format(arguments=list(arguments), heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    line = done.stderr.splitlines()[-1]
    assert line.startswith("LOADED")
    return set(line.split()[1:])


def test_help_loads_nothing_heavy() -> None:
    assert loaded_by("--help") == set()


def test_validate_loads_only_the_yaml_checker() -> None:
    assert loaded_by("validate", "agents") <= {"yaml", "jsonschema"}


def test_a_command_is_loaded_alone_and_the_help_names_all() -> None:
    code = "import sys; from runner.cli.main import build_app; build_app('validate')"
    code += "; print(*(name for name in sys.modules if name.startswith('runner.cli.')))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.removeprefix("runner.cli.") for name in done.stdout.split()}
    assert loaded.isdisjoint(set(COMMANDS) - {"validate"})
    done = subprocess.run(
        [sys.executable, "-m", "runner", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "Usage: " in done.stdout
    assert len(done.stdout) > 150


def test_an_unknown_command_is_wrong_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", "rnu"], capture_output=True, text=True
    )

    assert done.returncode == 2
    assert "rnu" in done.stderr


def test_a_closed_pipe_is_not_an_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m runner schema | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.strip() == "{"
    assert done.stderr == ""


def test_an_error_is_one_line_and_its_hint_the_next() -> None:
    command = [sys.executable, "-m", "runner", "run", "agents/support.yaml"]
    done = subprocess.run(
        [*command, "--service", "bogus"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "vagent: 'bogus' is not a service\n"
        "  hint: use assemblyai, local, or an address that begins with ws:// or wss://\n"
    )


def test_no_summary_of_a_command_is_cut_at_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    run_command(["--help"])

    lines = capsys.readouterr().out.partition("Commands:")[2].splitlines()
    assert [line for line in lines if line.endswith("...")] == []
