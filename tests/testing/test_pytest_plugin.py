"""The plugin in a separate pytest run: collection, execution and reports."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

import runner.cli.reports.text
import runner.testing.python_api
import runner.testing.runner

# Loaded before, so that each pytest in here need not load them again.
import runner.testing.scenarios.builder
import runner.tools.http_client  # noqa: F401  # and what an agent with an HTTP tool loads
from tests.testing.builders import write_agent

pytest_plugins = ["pytester"]

SUITE = """\
agent: orders.yaml
mock: {lookup_order: {returns: {status: shipped}}}
scenarios:
  - name: greets
    tags: [smoke]
    turns:
      - agent: help
  - name: finds an order
    turns:
      - user: Where is my order 1234?
      - agent: shipped
"""
FAILING = """\
agent: orders.yaml
scenarios:
  - name: says goodbye at once
    turns:
      - agent: goodbye
"""


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    write_agent(pytester.path)
    # Other plugins would be loaded for each inner pytest, which takes a second.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p runner.testing.pytest_plugin")
    return pytester


def write(project: pytest.Pytester, name: str, text: str) -> Path:
    path = project.path / name
    path.write_text(text, "utf-8")
    return path


def test_scenarios_are_tests(project: pytest.Pytester) -> None:
    write(project, "orders.test.yaml", SUITE)

    result = project.runpytest_inprocess("-v")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["orders.test.yaml::greets PASSED*"])


def test_tags_choose_scenarios(project: pytest.Pytester) -> None:
    write(project, "orders.test.yaml", SUITE)

    result = project.runpytest_inprocess("-k", "smoke")

    result.assert_outcomes(passed=1, deselected=1)


def test_a_failure_shows_the_turn_what_was_expected_and_what_came(
    project: pytest.Pytester,
) -> None:
    write(project, "orders.test.yaml", FAILING)

    result = project.runpytest_inprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "orders.test.yaml:5:9: failed: says goodbye at once",
            "  5 |       - agent: goodbye",
            "  expected: the agent says goodbye",
            "  actual:   *how can I help*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_recording_of_a_failure_is_kept_where_it_is_asked_for(
    project: pytest.Pytester,
) -> None:
    write(project, "orders.test.yaml", FAILING)

    result = project.runpytest_inprocess("--vagent-keep", "kept")

    result.stdout.fnmatch_lines(["  recorded: vagent show kept/orders-3-says-*"])
    assert list(project.path.glob("kept/*/session.jsonl"))


def test_a_file_with_findings_is_an_error_with_its_places(
    project: pytest.Pytester,
) -> None:
    write(project, "orders.test.yaml", SUITE.replace("turns", "turn"))

    result = project.runpytest_inprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*orders.test.yaml:6:5: error:*"])


def test_a_scenario_for_another_service_is_skipped(project: pytest.Pytester) -> None:
    write(project, "orders.test.yaml", SUITE + "services: [local]\n")

    result = project.runpytest_inprocess("-rs")

    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*it is for local*"])


def test_a_project_can_keep_scenarios_out(project: pytest.Pytester) -> None:
    write(project, "orders.test.yaml", SUITE)
    project.makeini("[pytest]\nvagent_scenarios = false\n")

    result = project.runpytest_inprocess()

    result.assert_outcomes()


PYTHON = """
from runner.testing import returns{imports}

MOCK = {{"lookup_order": returns({{"status": "shipped"}})}}


{mark}
async def test_an_order_is_looked_up(vagent_session):
    async with vagent_session("orders.yaml", mock=MOCK) as call:
        answer = await call.user("Where is my order 1234?")
    assert "shipped" in answer
    assert call.tool("lookup_order").arguments == {{"order_id": "1234"}}
    assert [speaker for speaker, _ in call.said][:2] == ["agent", "caller"]
"""


@pytest.mark.parametrize(
    ("imports", "mark"),
    [("", ""), (", virtual_time", "@virtual_time")],
    ids=["as it is", "decorated"],
)
def test_a_python_test_holds_a_call(
    project: pytest.Pytester, imports: str, mark: str
) -> None:
    project.makepyfile(test_orders=PYTHON.format(imports=imports, mark=mark))

    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_an_assertion_about_a_tool_that_was_not_called_names_the_calls(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(
        """
        async def test_a_call(vagent_session):
            async with vagent_session("orders.yaml") as call:
                await call.user("Hello")
                call.tool("count_letters")
        """
    )

    result = project.runpytest_inprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*count_letters was not called; the calls were: none"])


def test_pytest_finds_the_plugin_by_itself() -> None:
    names = [each.value for each in entry_points(group="pytest11")]

    assert "runner.testing.pytest_plugin" in names


def test_other_tests_are_left_alone(project: pytest.Pytester) -> None:
    project.makepyfile("def test_a_thing():\n    assert True\n")

    project.runpytest_inprocess().assert_outcomes(passed=1)
