"""How results are written: one function a format, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config.lint.results import Results
    from runner.testing.results import Report


FindingsReport: TypeAlias = "Callable[[Results], str]"

# The module and the function that write a format.
FORMATS: dict[str, tuple[str, str]] = {
    "text": ("text", "write_text"),
    "concise": ("text", "write_concise"),
    "json": ("json", "write_json"),
    "jsonl": ("json", "write_jsonl"),
    "sarif": ("sarif", "write_sarif"),
    "github": ("github", "write_github"),
    "gitlab": ("gitlab", "write_gitlab"),
    "junit": ("junit", "write_junit"),
}

# Of these the terminal shows colours.
COLORED = {"text": "write_colored_text", "concise": "write_colored_concise"}


def choose_format(wanted: str, environment: Mapping[str, str]) -> str:
    """Return the format that `auto` stands for here; any other stands for itself."""
    if wanted != "auto":
        return wanted
    # Set to "true" by the runner of GitHub Actions.
    return "github" if environment.get("GITHUB_ACTIONS") == "true" else "text"


def load_report(name: str, *, colour: bool = False) -> FindingsReport:
    """Return what writes a format of `FORMATS`."""
    module, function = FORMATS[name]
    if colour:
        function = COLORED.get(name, function)
    found = getattr(import_module(f"{__name__}.{module}"), function)
    return cast("FindingsReport", found)


# How results of scenarios are written: one function a format.


ScenarioReport: TypeAlias = "Callable[[Report], str]"

# The module and the function that write a format.
SCENARIO_FORMATS: dict[str, tuple[str, str]] = {
    "text": ("text", "write_scenario_text"),
    "json": ("json", "write_scenario_json"),
    "junit": ("junit", "write_scenario_junit"),
    "github": ("github", "write_scenario_github"),
    "tap": ("tap", "write_scenario_tap"),
}


def load_scenario_report(name: str, *, colour: bool = False) -> ScenarioReport:
    """Return what writes a format of `SCENARIO_FORMATS`; colours are for text."""
    module, function = SCENARIO_FORMATS[name]
    if colour and name == "text":
        function = "write_colored_scenario_text"
    found = getattr(import_module(f"{__name__}.{module}"), function)
    return cast("ScenarioReport", found)
