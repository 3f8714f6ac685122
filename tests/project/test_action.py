"""The GitHub action and the pre-commit hook for other projects.

The action's scripts are run as a runner does: each by bash, with inputs in variables
and files for what it passes on. Only the step that installs vagent needs a network;
here the installed command takes its place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
GOOD = "version: 1\nname: a\nprompt: Be brief.\nsession: {max_duration: 5m}\n"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


def step(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any]
    (found,) = (each for each in ACTION["runs"]["steps"] if each["name"] == name)
    return found


def run_validate(folder: Path, **inputs: str) -> tuple[int, str, str]:
    """Runs the step; returns its exit code, its output and the outputs it sets."""
    return run_step("Validate", folder, **inputs)


def run_step(name: str, folder: Path, **inputs: str) -> tuple[int, str, str]:
    given = {name: each.get("default", "") for name, each in ACTION["inputs"].items()}
    given.update(inputs)
    script = step(name)
    environment = {
        name: re.sub(
            r"\$\{\{ (?:inputs\.)?([\w.-]+) \}\}", lambda m: given.get(m[1], ""), value
        )
        for name, value in script["env"].items()
    }
    # The command as `python -m runner`: it is there in every environment of a test.
    command = folder / "vagent"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n', "utf-8")
    command.chmod(0o755)
    output = folder / "output"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script["run"]],
        cwd=folder,
        env={
            **os.environ,
            **environment,
            "PYTHONPATH": str(ROOT),
            "VAGENT": str(command),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "RUNNER_TEMP": str(folder),
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    passed_on = output.read_text("utf-8") if output.exists() else ""
    return done.returncode, done.stdout, passed_on


def test_a_good_agent_passes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD, "utf-8")
    assert run_validate(tmp_path) == (0, "", "exit-code=0\n")


def test_a_finding_becomes_an_annotation_and_fails_the_step(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "voise: alba\n", "utf-8")
    code, printed, passed_on = run_validate(tmp_path)
    assert (code, passed_on) == (1, "exit-code=1\n")
    assert printed.startswith("::error file=a.yaml,line=5,")


def test_warnings_fail_if_strict_is_true(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "variables: {v: {default: x}}\n", "utf-8")
    assert run_validate(tmp_path)[0] == 0
    assert run_validate(tmp_path, strict="true")[0] == 1


def test_several_paths_and_a_name_with_a_space_are_accepted(tmp_path: Path) -> None:
    for name in ("one agent", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(GOOD + "voise: a\n", "utf-8")
    code, printed, _ = run_validate(tmp_path, paths="one agent\n\ntwo/*.yaml\n")
    assert code == 1
    assert len(printed.splitlines()) == 2


def test_the_findings_are_written_as_sarif_as_well(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "voise: alba\n", "utf-8")
    run_validate(tmp_path, **{"sarif-file": "found.sarif"})
    document = json.loads((tmp_path / "found.sarif").read_text("utf-8"))
    (result,) = document["runs"][0]["results"]
    assert result["ruleId"] == "VA203"


def test_a_wrong_path_differs_from_findings(tmp_path: Path) -> None:
    assert run_validate(tmp_path, paths="nothing.yaml")[0] == 3


def test_the_install_step_installs_the_action_s_own_checkout_with_pinned_versions() -> (
    None
):
    script = step("Install vagent")
    assert '"$GITHUB_ACTION_PATH"' in script["run"]
    assert "$GITHUB_ACTION_PATH/constraints.txt" in script["run"]
    assert script["working-directory"] == "${{ runner.temp }}"
    assert (ROOT / "pyproject.toml").is_file()
    assert (ROOT / "constraints.txt").is_file()


def test_the_install_step_runs_no_file_of_the_checkout(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for module in ("venv", "pip", "subprocess", "typing", "ensurepip", "runner"):
        trap = f"open({str(tmp_path / 'executed')!r}, 'w').write(__name__)\n"
        (checkout / f"{module}.py").write_text(trap, "utf-8")

    # In the checkout itself, so that isolation holds without `working-directory`, too.
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step("Install vagent")["run"]],
        cwd=checkout,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_ACTION_PATH": str(tmp_path / "missing"),  # pip stops here
            "GITHUB_ENV": str(tmp_path / "env"),
        },
        capture_output=True,
        check=False,
    )

    assert (tmp_path / "vagent").is_dir()
    assert not (tmp_path / "executed").exists()


def test_a_revision_that_is_an_option_of_git_is_refused(tmp_path: Path) -> None:
    repository(tmp_path)
    code, output, _ = run_step("Diff", tmp_path, diff="--output=written")
    assert code == 2
    assert output == "::error::diff: not a revision: --output=written\n"
    assert not (tmp_path / "written").exists()


def test_the_hook_runs_the_validate_command() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["entry"] == "vagent validate"
    for name in ("agents/a.yaml", "b.yml", "tools/c.py", "p.md", "vagent.toml"):
        assert re.search(hook["files"], name), name
    assert not re.search(hook["files"], "README.rst")


def repository(folder: Path) -> None:
    """Makes a repository in which an agent was changed since the last commit."""

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True)

    git("init", "-q")
    (folder / "a.yaml").write_text(GOOD, "utf-8")
    (folder / "b.yaml").write_text(GOOD.replace("name: a", "name: b"), "utf-8")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    (folder / "a.yaml").write_text(GOOD.replace("brief", "long"), "utf-8")


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_a_changed_agent_is_compared_with_the_base(tmp_path: Path) -> None:
    repository(tmp_path)

    code, _, passed_on = run_step("Diff", tmp_path, diff="HEAD")

    summary = (tmp_path / "summary").read_text("utf-8")
    assert code == 0
    assert summary.count("###") == 1
    assert "<del>brief.</del><ins>long.</ins>" in summary
    assert summary.strip() in passed_on


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_an_unchanged_agent_adds_nothing_to_the_summary(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "a.yaml").write_text(GOOD, "utf-8")

    code, _, _ = run_step("Diff", tmp_path, diff="HEAD")

    assert (code, (tmp_path / "summary").read_text("utf-8")) == (0, "")


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_an_agent_whose_prompt_file_changed_is_compared(tmp_path: Path) -> None:
    text = GOOD.replace("prompt: Be brief.", "prompt_file: prompt.md")
    (tmp_path / "c.yaml").write_text(text, "utf-8")
    (tmp_path / "prompt.md").write_text("Be quick.\n", "utf-8")
    repository(tmp_path)
    (tmp_path / "a.yaml").write_text(GOOD, "utf-8")
    (tmp_path / "prompt.md").write_text("Be slow.\n", "utf-8")

    run_step("Diff", tmp_path, diff="HEAD")

    summary = (tmp_path / "summary").read_text("utf-8")
    assert summary.startswith("### c.yaml: ")
    assert "<ins>slow.</ins>" in summary


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_a_new_agent_is_not_compared(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "a.yaml").write_text(GOOD, "utf-8")
    (tmp_path / "new.yaml").write_text(GOOD.replace("name: a", "name: n"), "utf-8")

    code, _, _ = run_step("Diff", tmp_path, diff="HEAD")

    assert (code, (tmp_path / "summary").read_text("utf-8")) == (0, "")
