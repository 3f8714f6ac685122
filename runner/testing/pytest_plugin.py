"""The pytest plugin: collects scenario files and provides the `vagent_session` fixture.

It is loaded by its entry point in every run of pytest, so it imports the package only
when a scenario file or the fixture is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from runner.testing.results import ScenarioResult
    from runner.testing.scenarios.model import Scenario

SUFFIXES = (".test.yaml", ".test.yml")
FIXTURE = "vagent_session"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vagent", "vagent: voice agents as YAML files")
    group.addoption(
        "--vagent-service",
        default="script",
        metavar="script|local|assemblyai|URL",
        help="service that runs scenario files (default: script)",
    )
    group.addoption(
        "--vagent-keep",
        metavar="DIR",
        help="folder for recordings of failed scenarios",
    )
    parser.addini(
        "vagent_scenarios",
        "collect *.test.yaml files as tests (default: true)",
        type="bool",
        default=True,
    )


def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    if not file_path.name.endswith(SUFFIXES):
        return None
    if not parent.config.getini("vagent_scenarios"):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


class ScenarioFile(pytest.File):
    """A scenario file; each of its scenarios is a test."""

    def collect(self) -> Iterator[pytest.Item]:
        from runner.testing.scenarios.loader import load_suite

        for scenario in load_suite(self.path).scenarios:
            yield ScenarioItem.from_parent(self, name=scenario.id, scenario=scenario)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Any:
        return _format_error(excinfo.value) or super().repr_failure(excinfo)


class ScenarioItem(pytest.Item):
    """One scenario."""

    def __init__(self, *, scenario: Scenario, **others: Any) -> None:
        super().__init__(**others)
        self.scenario = scenario
        for tag in scenario.tags:
            self.extra_keyword_matches.add(tag)

    def runtest(self) -> None:
        import os

        from runner.testing.results import Status
        from runner.testing.runner import TestOptions, run_scenario

        keep = self.config.getoption("--vagent-keep")
        options = TestOptions(
            service=str(self.config.getoption("--vagent-service")),
            environment=dict(os.environ),
            keep=Path(keep) if keep else None,
        )
        result = run_scenario(self.scenario, options)
        for left_out in result.left_out:
            self.add_report_section("call", "vagent", f"left out: {left_out}")
        if result.status is Status.SKIPPED:
            pytest.skip(result.error or "not for this service")
        if result.status is not Status.PASSED:
            raise ScenarioFailed(result)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Any:
        if isinstance(excinfo.value, ScenarioFailed):
            return describe(excinfo.value.result)
        return _format_error(excinfo.value) or super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.scenario.place.line - 1, self.scenario.id


class ScenarioFailed(Exception):
    """A scenario did not pass."""

    def __init__(self, result: ScenarioResult) -> None:
        super().__init__(result.scenario.id)
        self.result = result


def describe(result: ScenarioResult) -> str:
    """Returns the description of a failure, as `vagent test` shows it."""
    from runner.testing.results import describe_failure

    return describe_failure(result)


def _format_error(error: BaseException) -> str | None:
    """Returns the message of an error of vagent, with the findings of a file."""
    from runner.errors import VagentError

    if not isinstance(error, VagentError):
        return None
    from runner.testing.runner import format_error

    return format_error(error)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs an asynchronous test that uses the fixture, on virtual time.

    Tests with the `asyncio` mark are left to that plugin.
    """
    test = pyfuncitem.obj
    is_ours = inspect.iscoroutinefunction(test) and FIXTURE in pyfuncitem.fixturenames
    if not is_ours or pyfuncitem.get_closest_marker("asyncio"):
        return None
    from runner.testing.virtual_clock import run_virtually

    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    run_virtually(test(**arguments))
    return True


@pytest.fixture
def vagent_session() -> Callable[..., Any]:
    """Returns `runner.testing.vagent_session`: hold a call with an agent.

    `async with vagent_session("agents/support.yaml") as call: …`
    """
    from runner.testing.python_api import vagent_session as open_session

    return open_session
