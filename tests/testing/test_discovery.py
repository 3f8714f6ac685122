"""Which scenario files are meant by the words of a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import ConfigError, UsageError
from runner.testing.discovery import find_suites, load_scenarios
from tests.testing.builders import write_agent

SUITE = """\
agent: {agent}
scenarios:
  - name: greets
    turns: [{{agent: help}}]
  - name: asks
    parameters: {{words: [hello, hi]}}
    turns: [{{user: "${{words}}"}}, {{agent: script}}]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_agent(tmp_path)
    for name in ("tests", ".hidden", "node_modules", "other"):
        (tmp_path / name).mkdir()
    write(tmp_path / "orders.test.yaml", "orders.yaml")
    write(tmp_path / "tests" / "more.yaml", "../orders.yaml")
    write(tmp_path / ".hidden" / "a.test.yaml", "../orders.yaml")
    write(tmp_path / "node_modules" / "a.test.yaml", "../orders.yaml")
    write(tmp_path / "other" / "plain.yaml", "../orders.yaml")
    return tmp_path


def write(path: Path, agent: str) -> None:
    path.write_text(SUITE.format(agent=agent), "utf-8")


def test_a_folder_stands_for_the_scenario_files_below_it(project: Path) -> None:
    found = [path.as_posix() for path in find_suites([]).names]

    assert found == ["orders.test.yaml", "tests/more.yaml"]


def test_a_file_that_is_named_is_always_taken(project: Path) -> None:
    assert len(load_scenarios(["other/plain.yaml"])) == 3


def test_a_pattern_stands_for_what_fits(project: Path) -> None:
    assert list(find_suites(["*.test.yaml"]).names) == [Path("orders.test.yaml")]


def test_an_agent_stands_for_the_files_about_it(project: Path) -> None:
    found = [path.as_posix() for path in find_suites(["orders.yaml"]).names]

    assert found == ["orders.test.yaml", "tests/more.yaml"]


def test_a_file_is_loaded_once_however_often_it_is_named(project: Path) -> None:
    assert len(load_scenarios(["orders.test.yaml", "orders.test.yaml"])) == 3


@pytest.mark.parametrize(
    ("name", "count"), [("greets", 1), ("asks", 2), ("asks [words=hi]", 1)]
)
def test_a_scenario_can_be_named(project: Path, name: str, count: int) -> None:
    assert len(load_scenarios([f"orders.test.yaml::{name}"])) == count


def test_a_scenario_that_is_not_there_is_said_with_those_that_are(
    project: Path,
) -> None:
    with pytest.raises(UsageError, match="has no scenario 'greet'") as caught:
        load_scenarios(["orders.test.yaml::greet"])

    assert "'greets'" in str(caught.value.hint)


def test_a_folder_without_scenarios_is_an_error(project: Path) -> None:
    (project / "empty").mkdir()
    with pytest.raises(UsageError, match="no scenarios in empty"):
        load_scenarios(["empty"])


def test_what_is_not_there_is_an_error(project: Path) -> None:
    with pytest.raises(UsageError, match="there is no missing.test.yaml"):
        load_scenarios(["missing.test.yaml"])


def test_findings_of_a_file_come_out_with_their_places(project: Path) -> None:
    (project / "orders.test.yaml").write_text("scenarios: 3\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenarios(["orders.test.yaml"])

    assert caught.value.diagnostics
