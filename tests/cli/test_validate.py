from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from runner.cli.validate import validate

ROOT = Path(__file__).parents[2]
GOOD = "version: 1\nname: a\nprompt: Be brief.\nsession: {max_duration: 9m}\n"
BAD = GOOD + "voise: alba\n"


@dataclass
class Done:
    """What a run of the command came to."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def check(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Done]:
    """Run the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*paths: str, env: dict[str, str] | None = None) -> Done:
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        code = 0
        try:
            validate([Path(path) for path in paths])
        except typer.Exit as stop:
            code = stop.exit_code
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


def vagent(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_the_agents_of_the_project_are_fine() -> None:
    done = vagent("validate", "agents", cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("files checked, 0 errors, 0 warnings\n")


def test_all_findings_of_all_files_are_shown(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "b.yaml").write_text(BAD + "greeting: ${x}\n")
    (tmp_path / "a.yaml").write_text(BAD)
    done = check("b.yaml", "a.yaml")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert lines == [
        "b.yaml:5:1: error: unknown key `voise` [VA203]",
        "b.yaml:6:11: error: the variable `x` is not declared [VA301]",
        "a.yaml:5:1: error: unknown key `voise` [VA203]",
    ]
    assert done.stderr == "2 files checked, 3 errors, 0 warnings\n"


def test_warnings_do_not_fail(check: Callable[..., Done], tmp_path: Path) -> None:
    text = GOOD + "service: {url: 'wss://${env:VAGENT_TEST_HOST}'}\n"
    (tmp_path / "a.yaml").write_text(text)
    done = check("a.yaml")
    assert done.returncode == 0
    assert "warning: the environment variable `VAGENT_TEST_HOST`" in done.stdout
    assert done.stderr == "1 file checked, 0 errors, 1 warning\n"


def test_the_environment_and_a_dotenv_file_count(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    text = GOOD + "service: {url: 'wss://${env:VAGENT_A}${env:VAGENT_B}'}\n"
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / ".env").write_text("VAGENT_A=1\n")
    done = check("a.yaml", env={"VAGENT_B": "secret"})
    assert (done.returncode, done.stdout) == (0, "")
    assert "secret" not in done.stderr


def test_in_folders_only_agent_files_are_checked(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "deep" / "er" / "agent.YML").write_text(BAD)
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    (tmp_path / ".hidden" / "agent.yaml").write_text(BAD)
    (tmp_path / "agent.txt").write_text(BAD)
    done = check(".")
    assert done.returncode == 1
    assert done.stderr == "1 file checked, 1 error, 0 warnings\n"


def test_a_broken_agent_file_in_a_folder_is_not_passed_over(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "agent.yaml").write_text(GOOD + "greeting: 'open\n")
    done = check(".")
    assert done.returncode == 1
    assert "VA101" in done.stdout


def test_a_file_that_is_named_is_always_checked(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "compose.txt").write_text("services: {}\n")
    done = check("compose.txt")
    assert done.returncode == 1
    assert "`services`" in done.stdout


def test_a_file_is_checked_once(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    done = check("a.yaml", ".", "./a.yaml")
    assert done.stderr == "1 file checked, 1 error, 0 warnings\n"


def test_a_file_that_cannot_be_read_is_told_and_the_others_checked(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    done = check("none.yaml", "a.yaml")
    assert done.returncode == 3
    assert "VA203" in done.stdout
    assert done.stderr == (
        "vagent: none.yaml does not exist\n"
        "1 file checked, 1 error, 0 warnings, 1 file unreadable\n"
    )


def test_a_folder_without_agent_files_is_wrong_usage(tmp_path: Path) -> None:
    done = vagent("validate", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "no agent files in the folder" in done.stderr


def test_without_a_path_it_is_wrong_usage(tmp_path: Path) -> None:
    assert vagent("validate", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("data", [b"", b"\0\1\2", b"\xff\xfe", b"#" * 2_000_000])
def test_no_file_gives_a_traceback(
    check: Callable[..., Done], tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "a.yaml").write_bytes(data)
    done = check("a.yaml")
    assert done.returncode == 1
    assert done.stdout.startswith("a.yaml:1:1: error: ")
    assert "Traceback" not in done.stderr


def test_any_character_can_be_shown_in_any_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "voi😀se: 你好\n", encoding="utf-8")
    done = vagent(
        "validate", "a.yaml", cwd=tmp_path, env={"PYTHONIOENCODING": "latin-1"}
    )
    assert done.returncode == 1
    assert "unknown key `voi\\U0001f600se`" in done.stdout
    assert "Traceback" not in done.stderr


def test_checking_loads_nothing_heavy_and_no_code_of_the_agent(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("def f(): ...\nraise SystemExit(7)\n")
    (tmp_path / "a.yaml").write_text(
        GOOD
        + "tools:\n  - python: tool.py:f\n  - name: x\n    description: Look it up.\n"
        + "    http: {url: 'https://example.com/'}\n  - plugin: end_call\n"
    )
    code = (
        "import sys, typer\n"
        "from pathlib import Path\n"
        "from runner.cli.validate import validate\n"
        "validate([Path('a.yaml')])\n"
        "heavy = {'numpy', 'websockets', 'httpx', 'sounddevice', 'soundfile', 'tool',\n"
        "         'onnxruntime', 'ctranslate2', 'xllamacpp', 'piper', 'asyncio',\n"
        "         'runner.tools', 'runner.audio', 'runner.protocol', 'runner.speech'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (
        "[]\n",
        "1 file checked, 0 errors, 0 warnings\n",
    )
