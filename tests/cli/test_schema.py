from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from runner.cli.schema import schema
from runner.config.schema import packaged_schema, packaged_text
from runner.errors import UsageError
from runner.testing.scenarios import loader

ROOT = Path(__file__).parents[2]


def test_the_schema_is_printed_with_the_installed_kinds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", "schema"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    Draft202012Validator.check_schema(printed)
    packaged = packaged_schema()
    assert printed["$id"] == packaged["$id"]
    assert printed["properties"] == packaged["properties"]
    assert packaged["$defs"].keys() <= printed["$defs"].keys()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "agents").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_schema_is_written_as_packaged_and_only_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Path("agents", "agent.schema.json")
    other = Path("agents", "scenario.schema.json")

    schema(Path("agents"), write=True)
    schema(Path("agents"), write=True)

    said = [f"wrote {target}", f"wrote {other}"]
    said += [f"unchanged {target}", f"unchanged {other}"]
    assert capsys.readouterr().out.splitlines() == said
    assert target.read_bytes() == packaged_text().encode()
    assert other.read_bytes() == loader.packaged_text().encode()


def test_the_scenario_schema_can_be_printed_and_written_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema(scenario=True)
    assert capsys.readouterr().out == loader.packaged_text()

    schema(Path("agents"), write=True, scenario=True)
    schema(Path("s.json"), write=True, scenario=True)

    assert Path("s.json").read_text("utf-8") == loader.packaged_text()
    assert [each.name for each in Path("agents").iterdir()] == ["scenario.schema.json"]


@pytest.mark.parametrize(
    ("place", "target"),
    [(None, "agent.schema.json"), ("my.json", "my.json"), ("new/x.json", "new/x.json")],
)
def test_a_file_can_be_named_and_the_default_is_the_current_folder(
    place: str | None, target: str, folder: Path
) -> None:
    schema(Path(place) if place else None, write=True)

    assert Path(target).read_text("utf-8") == packaged_text()


def test_the_printed_schema_equals_the_written_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema()

    assert capsys.readouterr().out == packaged_text()


def test_an_older_schema_is_replaced(folder: Path) -> None:
    Path("agent.schema.json").write_text("{}", "utf-8")

    schema(write=True)

    assert Path("agent.schema.json").read_text("utf-8") == packaged_text()


@pytest.mark.parametrize(
    ("place", "write", "vscode", "words"),
    [
        ("agents", False, False, "PATH needs --write or --vscode"),
        ("nowhere", True, False, "folder 'nowhere' does not exist"),
        ("..", True, True, "outside of the current folder"),
        (None, True, True, "has no agent files"),
        (None, False, True, "has no agent files"),
    ],
)
def test_contradictory_options_are_a_usage_error(
    place: str | None, write: bool, vscode: bool, words: str, folder: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        schema(Path(place) if place else None, write=write, vscode=vscode)

    assert [each.name for each in folder.iterdir()] == ["agents"]


def test_the_vs_code_settings_of_a_folder_are_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema(Path("agents"), vscode=True)

    printed = capsys.readouterr().out
    assert json.loads(printed) == {
        "yaml.schemas": {
            "./agents/agent.schema.json": [
                *("agents/*.yaml", "agents/*.yml"),
                *("!agents/*.test.yaml", "!agents/*.test.yml"),
            ],
            "./agents/scenario.schema.json": [
                *("agents/*.test.yaml", "agents/*.test.yml"),
            ],
        }
    }
    assert not list(Path("agents").iterdir())

    schema(Path("agents"), write=True, vscode=True)

    out = capsys.readouterr().out
    assert out.endswith(f"add to .vscode/settings.json:\n{printed}")
    assert Path("agents", "agent.schema.json").exists()
    assert not Path(".vscode").exists()


def test_the_vs_code_settings_of_this_folder_name_agent_files_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.yaml").write_text("version: 1\nname: a\nprompt: Be brief.\n", "utf-8")
    Path("compose.yaml").write_text("services: {}\n", "utf-8")

    schema(vscode=True)

    settings = json.loads(capsys.readouterr().out)
    assert settings == {"yaml.schemas": {"./agent.schema.json": ["a.yaml"]}}

    Path("a.test.yaml").write_text("scenarios: []\n", "utf-8")
    schema(vscode=True)
    settings = json.loads(capsys.readouterr().out)
    assert settings["yaml.schemas"]["./scenario.schema.json"] == ["a.test.yaml"]
