from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from runner.cli.main import print_error
from runner.cli.validate import Color, Format, validate
from runner.errors import VagentError

ROOT = Path(__file__).parents[2]
GOOD = "version: 1\nname: a\nprompt: Be brief.\nsession: {max_duration: 9m}\n"
BAD = GOOD + "voise: alba\n"
ONE = "1 file checked, 1 error, 0 warnings, 1 fixable with --fix\n"


@dataclass
class Done:
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def check(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Done]:
    """Runs the command in a folder without agents."""
    monkeypatch.chdir(tmp_path)

    (tmp_path / ".git").mkdir()  # settings of parent folders are not read

    def run(
        *paths: str,
        env: dict[str, str] | None = None,
        env_: bool = False,
        **options: Any,
    ) -> Done:
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        code = 0
        try:
            if env_:
                options["env"] = True
            validate([Path(path) for path in paths], **options)
        except typer.Exit as stop:
            code = stop.exit_code
        except VagentError as error:
            code = error.exit_code
            print_error(error)
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


def test_the_agents_of_the_project_are_valid() -> None:
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
    assert done.stderr == (
        "2 files checked, 3 errors, 0 warnings, 2 fixable with --fix\n"
    )


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
    assert done.stderr == (
        ONE + "passed over, since they do not look like agent or scenario files: "
        "compose.yaml\n"
    )


def test_an_invalid_agent_file_in_a_folder_is_not_skipped(
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
    assert done.stderr == ONE


def test_an_unreadable_file_is_reported_and_the_others_are_checked(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    done = check("none.yaml", "a.yaml")
    assert done.returncode == 3
    assert "VA203" in done.stdout
    assert done.stderr == (
        "vagent: none.yaml does not exist\n"
        "1 file checked, 1 error, 0 warnings, 1 fixable with --fix, 1 file unreadable\n"
    )


def test_a_folder_without_agent_files_is_wrong_usage(tmp_path: Path) -> None:
    done = vagent("validate", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "no agent or scenario files in the folder" in done.stderr


def test_without_a_path_the_current_folder_is_checked(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    assert check().stdout.startswith("a.yaml:5:1: error: ")


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
    (tmp_path / "tool.py").write_text(
        'def f():\n    """It is never called."""\nraise SystemExit(7)\n'
    )
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


def test_strict_counts_warnings_as_errors_except_those_of_env(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    text = GOOD + "service: {url: 'wss://${env:VAGENT_TEST_HOST}'}\n"
    (tmp_path / "a.yaml").write_text(text)
    assert check("a.yaml").returncode == 0
    assert check("a.yaml", strict=True).returncode == 0
    assert check("a.yaml", env_=True).returncode == 1
    text = GOOD + "variables: {never_used: {default: x}}\n"
    (tmp_path / "a.yaml").write_text(text)
    assert check("a.yaml").returncode == 0
    assert check("a.yaml", strict=True).returncode == 1
    (tmp_path / "vagent.toml").write_text("strict = true\n")
    assert check("a.yaml").returncode == 1
    assert check("a.yaml", strict=False).returncode == 0
    assert check("a.yaml", no_config=True).returncode == 0


def test_the_command_line_overrides_the_settings(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(BAD + "greeting: ${x}\n")
    (tmp_path / "vagent.toml").write_text("select = ['VA3']\nformat = 'concise'\n")
    assert check().stdout == (
        "a.yaml:6:11: error: the variable `x` is not declared [VA301]\n"
    )
    shown = check(select=["VA2,VA3"], ignore=["VA301"], format=Format.JSONL).stdout
    rules = [json.loads(line).get("rule") for line in shown.splitlines()]
    assert rules == ["VA203", None]


def test_wrong_settings_and_rules_are_wrong_usage(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    done = check("a.yaml", select=["VA999"])
    assert (done.returncode, "unknown rule 'VA999'" in done.stderr) == (2, True)
    (tmp_path / "vagent.toml").write_text("selct = []\n")
    done = check("a.yaml")
    assert (done.returncode, "did you mean `select`?" in done.stderr) == (2, True)


def test_exit_zero_ignores_findings_but_not_unreadable_files(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    assert check("a.yaml", exit_zero=True).returncode == 0
    assert check("a.yaml", "none.yaml", exit_zero=True).returncode == 3


def test_max_findings_limits_the_report_and_not_the_counts(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(BAD + "greeting: ${x}\n")
    done = check("a.yaml", max_findings=1)
    assert (done.returncode, done.stdout.count("error: ")) == (1, 1)
    assert "2 errors" in done.stderr and done.stderr.endswith("1 not shown\n")
    assert check("a.yaml", max_findings=0).stdout == ""


def test_quiet_shows_only_errors(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        BAD + "service: {url: 'wss://${env:VAGENT_TEST_HOST}'}\n"
    )
    done = check("a.yaml", quiet=True)
    assert "warning: " not in done.stdout and "VA203" in done.stdout
    assert done.stderr == ""


def test_a_report_goes_to_a_file(check: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BAD, "utf-8")
    done = check("a.yaml", format=Format.SARIF, output_file=Path("out.sarif"))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", ONE)
    written = json.loads((tmp_path / "out.sarif").read_text("utf-8"))
    assert written["runs"][0]["results"][0]["ruleId"] == "VA203"
    done = check("a.yaml", output_file=Path("no/folder"))
    assert done.returncode == 3
    assert "cannot be written: no such file" in done.stderr


def test_colors_are_written_on_request(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    assert "\x1b" not in check("a.yaml").stdout
    assert "\x1b[1;31merror:" in check("a.yaml", color=Color.ALWAYS).stdout
    assert "\x1b[1;31merror:" in check("a.yaml", env={"FORCE_COLOR": "1"}).stdout


def test_under_github_actions_findings_are_annotations(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    done = check("a.yaml", env={"GITHUB_ACTIONS": "true"})
    assert done.stdout.startswith("::error file=a.yaml,line=5,endLine=5,col=1,")


def test_standard_input_is_checked_at_its_given_path(
    tmp_path: Path,
) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "prompt.md").write_text("Be brief.")
    done = subprocess.run(
        [sys.executable, "-m", "runner", "validate", "-", "--format", "concise"]
        + ["--stdin-filename", "agents/a.yaml", "--select", "VA1,VA2,VA3"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="version: 1\nname: a\nprompt_file: prompt.md\nvoise: x\n",
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    expected = f"{Path('agents/a.yaml')}:4:1: error: unknown key `voise` [VA203]\n"
    assert (done.returncode, done.stdout) == (1, expected)


def test_contradictory_options_are_wrong_usage(
    check: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    assert check("a.yaml", stdin_filename=Path("b.yaml")).returncode == 2
    assert check("-", watch=True).returncode == 2
    assert check("a.yaml", watch=True, output_file=Path("x")).returncode == 2


def test_variables_can_be_set(check: Callable[..., Done], tmp_path: Path) -> None:
    text = GOOD + "greeting: Hi, ${who}.\nvariables: {who: {}}\n"
    (tmp_path / "a.yaml").write_text(text)
    assert check("a.yaml", env_=True).returncode == 1
    assert check("a.yaml", env_=True, var=["who=Ann"]).returncode == 0
    assert check("a.yaml", var=["whom=Ann"]).returncode == 2


@pytest.mark.parametrize("rule", ["VA203", "va203", "unknown-key"])
def test_a_rule_is_explained(check: Callable[..., Done], rule: str) -> None:
    done = check(explain=rule)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("VA203 unknown-key (error)\n")


def test_an_unknown_rule_is_not_explained(check: Callable[..., Done]) -> None:
    done = check(explain="unknown-kye")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean unknown-key?" in done.stderr


def test_all_rules_are_listed(check: Callable[..., Done]) -> None:
    assert "VA203  unknown-key" in check(rules=True).stdout
    listed = json.loads(check(rules=True, format=Format.JSON).stdout)
    assert "VA203" in [each["id"] for each in listed]
