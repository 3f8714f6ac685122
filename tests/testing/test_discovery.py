"""Which scenario files are meant by the words of a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import ConfigError, UsageError
from runner.testing.discovery import find_suites, find_watched, load_scenarios
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


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.test.yaml", ["orders.test.yaml"]),
        # Agents, tools and folders fit, too: a shell would put them in.
        ("*", ["orders.test.yaml", "tests/more.yaml"]),
        ("o*/*", ["other/plain.yaml"]),
        ("**/*.yaml", ["orders.test.yaml", "other/plain.yaml", "tests/more.yaml"]),
    ],
)
def test_a_pattern_stands_for_what_fits(
    project: Path, pattern: str, found: list[str]
) -> None:
    (project / "node_modules" / "a.test.yaml").unlink()

    assert [each.as_posix() for each in find_suites([pattern]).names] == found


def test_a_pattern_that_nothing_fits_is_an_error(project: Path) -> None:
    with pytest.raises(UsageError, match=r"no scenarios in x\*"):
        find_suites(["x*"])


def test_an_agent_stands_for_the_files_about_it(project: Path) -> None:
    found = [path.as_posix() for path in find_suites(["orders.yaml"]).names]

    assert found == ["orders.test.yaml", "tests/more.yaml"]


def test_a_file_is_loaded_once_however_often_it_is_named(project: Path) -> None:
    spelled = [
        "orders.test.yaml",
        "tests/../orders.test.yaml",
        str(project / "orders.test.yaml"),
    ]

    assert len(load_scenarios([*spelled, "orders.test.yaml::greets"])) == 3


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


def test_a_name_is_looked_for_in_all_files_of_an_agent(project: Path) -> None:
    write(project / "second.test.yaml", "orders.yaml")
    text = (project / "second.test.yaml").read_text("utf-8")
    (project / "second.test.yaml").write_text(text.replace("greets", "waves"), "utf-8")

    (found,) = load_scenarios(["orders.yaml::waves"])

    assert found.place.path == Path("second.test.yaml")
    with pytest.raises(UsageError, match="has no scenario 'nods'"):
        load_scenarios(["orders.yaml::nods"])


def test_watched_files_are_not_read(project: Path) -> None:
    (project / "orders.test.yaml").write_text("agent: [", "utf-8")

    assert find_watched(["orders.yaml"]) == [
        Path("orders.yaml"),
        Path("orders.test.yaml"),
        Path("tests/more.yaml"),
    ]
    assert find_watched([]) == [Path("orders.test.yaml"), Path("tests/more.yaml")]


def test_a_folder_without_scenarios_is_an_error(project: Path) -> None:
    (project / "empty").mkdir()
    with pytest.raises(UsageError, match="no scenarios in empty"):
        load_scenarios(["empty"])


def test_a_missing_file_is_an_error(project: Path) -> None:
    with pytest.raises(UsageError, match="there is no missing.test.yaml"):
        load_scenarios(["missing.test.yaml"])


@pytest.mark.parametrize("target", [".", "orders.yaml"])
def test_findings_of_all_files_come_out_at_once(project: Path, target: str) -> None:
    broken = "agent: {}orders.yaml\nscenarios: [{{name: x}}]\n"
    (project / "orders.test.yaml").write_text(broken.format(""), "utf-8")
    (project / "tests" / "more.yaml").write_text(broken.format("../"), "utf-8")

    with pytest.raises(ConfigError) as caught:
        load_scenarios([target])

    places = [str(each) for each in caught.value.diagnostics]
    assert any(each.startswith("orders.test.yaml:2:") for each in places)
    assert any("more.yaml:2:" in each for each in places)


def test_a_scenario_file_that_is_named_says_what_it_lacks(project: Path) -> None:
    (project / "orders.test.yaml").write_text("agent: orders.yaml\n", "utf-8")
    with pytest.raises(ConfigError, match=r"orders\.test\.yaml has 1 error"):
        load_scenarios(["orders.test.yaml"])
