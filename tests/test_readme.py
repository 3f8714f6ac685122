"""The README is true: its agents are sound, its options exist, its table is whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.config.loader import check_file
from runner.config.packaged import packaged_schema
from runner.scenarios.loader import load_suite
from runner.testing import Wishes, try_out

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
AGENTS = [
    text for kind, text in BLOCKS if kind == "yaml" and text.startswith("version")
]
COMMANDS = [
    line[2:].partition("#")[0].strip()
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
    if line.startswith("$ ")
]


@pytest.mark.parametrize("text", AGENTS)
def test_every_agent_in_the_readme_is_sound(text: str, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "weather.py").write_text(
        (ROOT / "agents" / "tools" / "weather.py").read_text("utf-8"), "utf-8"
    )
    path = tmp_path / "agent.yaml"
    path.write_text(text, "utf-8")

    found = check_file(path, environment={"ORDERS_TOKEN": "x"})

    assert [each.message for each in found] == []


def test_there_are_agents_and_commands_to_check() -> None:
    assert len(AGENTS) >= 3
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_every_command_exists(command: str) -> None:
    words = command.split()
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text("utf-8")
        assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)
        return
    assert words[0] == "vagent"
    usage = subprocess.run(
        [sys.executable, "-m", "runner", words[1], "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": ""},
    ).stdout
    for option in re.findall(r"(?<=\s)--[a-z-]+", command):
        assert option in usage


def test_the_table_of_fields_names_every_field_of_the_schema() -> None:
    schema = packaged_schema()
    table = README[README.index("| field | meaning |") : README.index("## Tools")]
    for name, field in schema["properties"].items():
        assert f"`{name}`" in table, name
        if name in ("transcription", "turn_detection", "session", "local"):
            for inner in field["properties"]:
                assert f"`{inner}`" in table, f"{name}.{inner}"


def test_the_scenario_in_the_readme_passes(tmp_path: Path) -> None:
    (text,) = (
        text for kind, text in BLOCKS if kind == "yaml" and "scenario.schema" in text
    )
    path = tmp_path / "support.test.yaml"
    path.write_text(
        text.replace("support.yaml", str(ROOT / "agents" / "support.yaml")), "utf-8"
    )

    results = [try_out(each, Wishes()) for each in load_suite(path).scenarios]

    assert [(each.status.value, each.failure) for each in results] == [("passed", None)]
