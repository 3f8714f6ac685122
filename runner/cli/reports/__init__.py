"""The formats of reports; each is loaded when it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from runner.cli.output import escape_controls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config.lint.results import Results
    from runner.testing.results import Report


FindingsReport: TypeAlias = "Callable[[Results], str]"

# Formats of findings: the module and the function of each.
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

# Formats with a colored variant, and its function.
COLORED = {"text": "write_colored_text", "concise": "write_colored_concise"}


def choose_format(wanted: str, environment: Mapping[str, str]) -> str:
    """Returns the format to use; `auto` depends on the environment."""
    if wanted != "auto":
        return wanted
    # Set to "true" by the runner of GitHub Actions.
    return "github" if environment.get("GITHUB_ACTIONS") == "true" else "text"


def load_report(name: str, *, color: bool = False) -> FindingsReport:
    """Returns the function that writes a format of `FORMATS`."""
    module, function = FORMATS[name]
    if color:
        function = COLORED.get(name, function)
    found = getattr(import_module(f"{__name__}.{module}"), function)
    return _without_controls(cast("FindingsReport", found), keep_colors=color)


ScenarioReport: TypeAlias = "Callable[[Report], str]"

# Formats of scenario results: the module and the function of each.
SCENARIO_FORMATS: dict[str, tuple[str, str]] = {
    "text": ("text", "write_scenario_text"),
    "json": ("json", "write_scenario_json"),
    "junit": ("junit", "write_scenario_junit"),
    "github": ("github", "write_scenario_github"),
    "tap": ("tap", "write_scenario_tap"),
}


def load_scenario_report(name: str, *, color: bool = False) -> ScenarioReport:
    """Returns the function that writes a format of `SCENARIO_FORMATS`.

    Only `text` has a colored variant.
    """
    module, function = SCENARIO_FORMATS[name]
    if color and name == "text":
        function = "write_colored_scenario_text"
    found = getattr(import_module(f"{__name__}.{module}"), function)
    return _without_controls(cast("ScenarioReport", found), keep_colors=color)


_R = TypeVar("_R")


def _without_controls(
    write: Callable[[_R], str], *, keep_colors: bool
) -> Callable[[_R], str]:
    """Escapes control characters in a report, whatever its format leaves of them."""
    return lambda report: escape_controls(write(report), keep_colors=keep_colors)
