"""`vagent show` at the command line: its formats, its exit codes, its words."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from runner.cli.show import show
from runner.config.document import parse_document
from runner.config.source import Source
from runner.errors import ConfigError, FileUnreadable, UsageError

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "show"
AGENT = """\
version: 1
name: shop
prompt: You are ${company}.
variables: {company: {description: Whose shop}}
tools:
  - name: look/up
    python: tools/sums.py:add
local: {brain: {url: "http://127.0.0.1:1/v1", key: "${env:SHOP_BRAIN_KEY}"}}
"""


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, so that no .env and no key of this machine is seen."""
    monkeypatch.chdir(tmp_path)
    for name in ("ASSEMBLYAI_API_KEY", "SHOP_BRAIN_KEY", "VAGENT_SERVICE_KEY"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(
        ROOT / "agents", "agents", ignore=shutil.ignore_patterns("__pycache__")
    )


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/sums.py").write_text("def add(one: int) -> int:\n  return one\n")
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT.replace("look/up", "look_up"))
    return path


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(show)
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.mark.parametrize("format", ["yaml", "json", "wire"])
def test_the_support_agent_is_shown_word_for_word(format: str) -> None:
    """To accept new wordings: UPDATE_GOLDEN=1, then read the difference."""
    done = invoke("agents/support.yaml", "--format", format)
    expected = GOLDEN / f"support.{format}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(done.stdout.encode())
    assert done.exit_code == 0, done
    assert done.stdout == expected.read_bytes().decode()


def test_yaml_and_json_have_the_same_values(agent: Path) -> None:
    report = json.loads(invoke(agent, "--format", "json").stdout)
    text = invoke(agent).stdout
    document, found = parse_document(Source("shown.yaml", text))
    assert document is not None, found
    assert document.value == without_empty(report["agent"])


def without_empty(value: object) -> object:
    """Leave out what has no value, as the YAML does."""
    if isinstance(value, dict):
        kept = {key: without_empty(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in (None, {})} or {}
    return [without_empty(each) for each in value] if isinstance(value, list) else value


def test_each_value_of_the_json_has_its_origin_under_its_pointer(agent: Path) -> None:
    report = json.loads(invoke(agent, "--format", "json", "--var", "company=A").stdout)
    assert report["type"] == "vagent.show"
    assert report["origins"]["/prompt"] == {
        "kind": "file",
        "line": 3,
        "column": 9,
        "uses": [{"name": "company", "kind": "given"}],
    }
    for pointer in report["origins"]:
        value = report["agent"]
        for part in pointer.split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            value = value[int(part)] if isinstance(value, list) else value[part]
        assert not isinstance(value, dict) or not value


def test_what_is_not_set_is_said_and_stops_nothing(agent: Path) -> None:
    done = invoke(agent)
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "vagent: ${company} is not set: a call would not start",
        "vagent: ${env:SHOP_BRAIN_KEY} is not set: a call would not start",
    ]
    assert "${env:SHOP_BRAIN_KEY}: not set" in done.stdout


def test_a_value_from_dotenv_is_not_shown(agent: Path) -> None:
    Path(".env").write_text("SHOP_BRAIN_KEY=four-horses\n")
    done = invoke(agent, "--var", "company=four-horses & sons")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "four-horses" not in done.stdout
    assert "${env:SHOP_BRAIN_KEY}: set, not shown" in done.stdout


@pytest.mark.parametrize("format", ["yaml", "json", "wire"])
def test_a_tool_that_cannot_be_loaded_is_told_with_1(agent: Path, format: str) -> None:
    Path("tools/sums.py").write_text("import no_such_package\n\n\ndef add(): ...\n")
    done = invoke(agent, "--format", format)
    assert done.exit_code == 1
    assert "no module named 'no_such_package'" in done.stderr
    assert ("no_such_package" in done.stdout) is (format != "wire")


def test_a_file_with_findings_raises_what_ends_with_1(agent: Path) -> None:
    agent.write_text(AGENT)
    done = invoke(agent)
    assert isinstance(done.exception, ConfigError)
    assert (done.exception.exit_code, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["agents/support.yaml", "--format", "xml"], "there is no format 'xml'"),
        (["agents/support.yaml", "--var", "x"], "--var 'x' sets nothing"),
        (["agents/support.yaml", "--var", "x=1"], "declares no variable 'x'"),
        (["agents"], "agents is a folder, and show takes one agent file"),
    ],
)
def test_wrong_usage_raises_what_ends_with_2(arguments: list[str], words: str) -> None:
    done = invoke(*arguments)
    assert isinstance(done.exception, UsageError)
    assert words in done.exception.message
    assert done.exception.exit_code == 2


def test_a_missing_file_raises_what_ends_with_3() -> None:
    done = invoke("nowhere.yaml")
    assert isinstance(done.exception, FileUnreadable)
    assert done.exception.exit_code == 3
