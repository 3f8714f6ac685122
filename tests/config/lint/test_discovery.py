from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.config.lint.discovery import FileDiscovery
from runner.config.lint.results import UnreadableFile
from runner.config.lint.selection import Settings
from runner.config.source import MAX_BYTES
from runner.errors import UsageError

AGENT = "version: 1\nname: a\nprompt: Be brief.\n"


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def add(*names: str, text: str = AGENT) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def found(*paths: str, **settings: Any) -> list[str]:
    targets = FileDiscovery([Path(each) for each in paths], Settings(**settings))
    readings = targets.readings()
    return [each.path.as_posix() for each in readings]


def test_without_a_path_the_current_folder_is_searched() -> None:
    add("b/b.yaml", "a.yml")
    assert found() == ["a.yml", "b/b.yaml"]


def test_code_of_others_and_hidden_folders_are_left_out() -> None:
    add("a.yaml", ".venv/a.yaml", "venv/a.yaml", "node_modules/x/a.yaml", ".git/a.yaml")
    assert found(".") == ["a.yaml"]
    assert found("node_modules") == ["node_modules/x/a.yaml"]  # asked for by name


def test_excluded_files_are_left_out_unless_named() -> None:
    add("a.yaml", "old/a.yaml", "drafts/b.yaml")
    exclude = ("old", "drafts/*.yaml")
    assert found(".", exclude=exclude, folder=Path.cwd()) == ["a.yaml"]
    assert found("old/a.yaml", exclude=exclude, folder=Path.cwd()) == ["old/a.yaml"]


def test_a_pattern_is_expanded_where_the_shell_has_not() -> None:
    add("agents/a.yaml", "agents/deep/er/b.yaml", "agents/c.txt")
    assert found("agents/**/*.yaml") == ["agents/a.yaml", "agents/deep/er/b.yaml"]
    assert found("agents/?.yaml") == ["agents/a.yaml"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such file name there")
def test_a_file_whose_name_looks_like_a_pattern_is_that_file() -> None:
    add("a[1].yaml", "a1.yaml", "*.yaml")
    assert found("a[1].yaml", "*.yaml") == ["a[1].yaml", "*.yaml"]


def test_a_pattern_that_no_file_fits_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"no file fits the pattern 'x\*\.yaml'"):
        found("x*.yaml")


def test_a_file_comes_once_by_whatever_name() -> None:
    add("a.yaml", "b/c.yaml")
    assert found("a.yaml", "./a.yaml", "b/../a.yaml", ".") == ["a.yaml", "b/c.yaml"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_to_a_file_is_that_file() -> None:
    add("a.yaml")
    Path("b.yaml").symlink_to("a.yaml")
    assert found("b.yaml", "a.yaml") == ["b.yaml"]
    assert found(".") == ["a.yaml"]


def test_a_yaml_file_of_something_else_is_passed_over_without_being_parsed() -> None:
    add("a.yaml")
    add("compose.yaml", text="services: {}\nversion: '3'\n")
    add("chart.yaml", text="version: 1\nx: [\n# prompt: none\n")
    assert found(".") == ["a.yaml"]


def test_a_binary_file_is_checked_only_when_named() -> None:
    add("a.yaml")
    Path("b.yaml").write_bytes(b"\xff\xfe")
    Path("c.yaml").write_bytes(AGENT.encode() + b"greeting: \xff\n")
    assert found(".") == ["a.yaml", "c.yaml"]
    assert found("b.yaml") == ["b.yaml"]


def test_a_file_that_is_not_there_does_not_stop_the_others() -> None:
    add("a.yaml")
    gone, there = FileDiscovery([Path("x.yaml"), Path("a.yaml")], Settings()).readings()
    assert gone == UnreadableFile(Path("x.yaml"), "x.yaml does not exist")
    assert there.path == Path("a.yaml")


@pytest.mark.parametrize("name", [None, Path("agents/a.yaml")])
def test_standard_input_is_read_once_and_has_the_given_path(
    monkeypatch: pytest.MonkeyPatch, name: Path | None
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(AGENT.encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    targets = FileDiscovery([Path("-"), Path("-")], Settings(), name)
    for _ in range(2):
        [reading] = targets.readings()
        assert not isinstance(reading, UnreadableFile)
        assert reading.source.text == AGENT
        assert reading.path == (name or Path("<stdin>"))


def test_candidates_are_all_files_that_may_become_agents() -> None:
    add("a/a.yaml", "b.txt")
    add("a/new.yaml", text="")
    found = FileDiscovery(
        [Path("a"), Path("b.txt"), Path("-")], Settings()
    ).candidates()
    names = [each.as_posix() for each in found]
    assert names == ["a/a.yaml", "a/new.yaml", "b.txt"]


def test_scenario_files_are_recognized_by_content_or_name() -> None:
    add("a.yaml")
    add("tests/a.yaml", text="agent: ../a.yaml\nscenarios: []\n")
    add("b.test.yaml", text="agnt: a.yaml\n")
    add("compose.yaml", text="services: {}\n# scenarios\n")
    assert found() == ["a.yaml", "b.test.yaml", "tests/a.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "versoin: 1\nname: a\nprompt: p\n",
        "name: a\nprompt: p\n",
        "Version: 1\nPrompt: p\n",
        "version: 1\nname: a\ngreeting: Hello\n",
        "tols:\n- plugin: end_call\npromt: p\n",
        "name: a\ninstructions: p\n",
        "  name: a\n  prompt: p\n",
        "name: a\nturn_detection: {\n",
        "name： a\nprompt： p\n",
        "{version: 1, prompt: p}\n",
        '{"nme": "a",\n "prompt": "p"}\n',
        "name: a\nprompt : p\n",
        "'name': a\n\"prompt\": p\n",
    ],
)
def test_a_file_with_two_keys_of_agents_is_checked(text: str) -> None:
    add("a.yaml")
    add("b.yaml", text=text)
    assert found() == ["a.yaml", "b.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "name: chart\nversion: 1.0.0\n",
        "services: {web: {}}\nversion: '3'\nname: x\n",
        "variables: {}\nstages: []\n",
        "name: CI\non: push\njobs: {prompt: {tools: x}}\n",
        "text: |\n  version: 1\n  prompt: p\n",
        "- version: 1\n  prompt: p\n",
    ],
)
def test_a_file_of_something_else_is_listed_as_passed_over(text: str) -> None:
    add("a.yaml")
    add("b.yaml", text=text)
    targets = FileDiscovery([Path()], Settings())
    assert [each.path.name for each in targets.readings()] == ["a.yaml"]
    assert targets.passed_over == [Path("b.yaml")]


def test_of_standard_input_no_more_is_read_than_of_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = io.BytesIO(b"#" * (MAX_BYTES + 1000))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(data))
    [reading] = FileDiscovery([Path("-")], Settings()).readings()
    assert not isinstance(reading, UnreadableFile)
    assert [each.rule for each in reading.findings] == ["VA109"]
    assert data.tell() == MAX_BYTES + 1
