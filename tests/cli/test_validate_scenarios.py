"""`vagent validate` over agents and their scenarios."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BESIDE = ROOT / "tests" / "testing" / "scenarios" / "beside"
GOOD = "agent: shop.yaml\nscenarios:\n- name: a\n  turns:\n  - agent: help\n"
BAD = GOOD.replace("- agent", "- agnt").replace("name: a", "name: b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(BESIDE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "broken.yaml").unlink()
    (tmp_path / "a.test.yaml").write_text(GOOD, "utf-8")
    return tmp_path


def vagent(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", "validate", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GITHUB_ACTIONS": ""},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_a_folders_scenarios_are_checked_with_its_agents(folder: Path) -> None:
    done = vagent(folder, ".", "--ignore", "VA1,VA3")
    assert (done.returncode, done.stdout) == (0, "")
    assert "5 files checked, 0 errors, 0 warnings" in done.stderr


@pytest.mark.parametrize(
    ("format_", "words"),
    [
        ("text", "    = help: did you mean `agent`?"),
        ("concise", "a.test.yaml:5:5: error: unknown key `agnt` [VA203]"),
        ("json", '"rule": "VA710"'),
        ("jsonl", '"name": "tool-not-had"'),
        ("sarif", '"ruleId": "VA710"'),
        ("github", "title=VA710 tool-not-had"),
        ("gitlab", '"check_name": "VA710"'),
        ("junit", 'name="VA710 tool-not-had (6:16)"'),
    ],
)
def test_every_report_includes_scenarios(
    format_: str, words: str, folder: Path
) -> None:
    (folder / "a.test.yaml").write_text(f"{BAD}  - tool_call: lookup\n", "utf-8")
    done = vagent(folder, "--format", format_, "a.test.yaml")
    assert done.returncode == 1
    assert words in done.stdout


def test_misspelled_keys_are_fixed(folder: Path) -> None:
    path = folder / "a.test.yaml"
    path.write_text(f"{BAD}  - tool_call: lookup_ordr\n  - wait: 2\n", "utf-8")
    done = vagent(folder, "--fix", "a.test.yaml")
    assert done.returncode == 0, done.stdout
    mended = path.read_text("utf-8")
    assert mended == BAD.replace("agnt", "agent") + "  - tool_call: lookup_order\n" + (
        "  - wait: 2s\n"
    )


def test_rules_for_scenarios_can_be_chosen_and_explained(folder: Path) -> None:
    (folder / "a.test.yaml").write_text(f"{BAD}  - tool_call: lookup\n", "utf-8")
    done = vagent(folder, "--select", "tool-not-had", "a.test.yaml", "--format", "json")
    assert [each["rule"] for each in json.loads(done.stdout)["findings"]] == ["VA710"]
    explained = vagent(folder, "--explain", "va710")
    assert explained.stdout.startswith("VA710 tool-not-had (error)\n")


def test_a_folder_with_neither_is_wrong_usage(folder: Path) -> None:
    (folder / "none").mkdir()
    done = vagent(folder, "none")
    assert done.returncode == 2
    assert "no agent or scenario files in the folder none" in done.stderr


def test_agents_do_not_load_the_scenario_checker(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "runner", "validate", "shop.yaml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert "runner.config.lint.checker" in done.stderr
    assert "runner.testing.scenarios" not in done.stderr
