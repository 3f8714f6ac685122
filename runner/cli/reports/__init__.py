"""How results are written: one function a format, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config.lint.results import Results

Report: TypeAlias = "Callable[[Results], str]"

# The module and the function that write a format.
FORMATS: dict[str, tuple[str, str]] = {
    "text": ("plain", "write_text"),
    "concise": ("plain", "write_concise"),
    "json": ("objects", "write_json"),
    "jsonl": ("objects", "write_jsonl"),
    "sarif": ("sarif", "write_sarif"),
    "github": ("annotations", "write_github"),
    "gitlab": ("quality", "write_gitlab"),
    "junit": ("junit", "write_junit"),
}

# Of these the terminal shows colours.
COLOURFUL = {"text": "write_coloured_text", "concise": "write_coloured_concise"}


def choose_format(wanted: str, environment: Mapping[str, str]) -> str:
    """Return the format that `auto` stands for here; any other stands for itself."""
    if wanted != "auto":
        return wanted
    # Set to "true" by the runner of GitHub Actions.
    return "github" if environment.get("GITHUB_ACTIONS") == "true" else "text"


def load_report(name: str, *, colour: bool = False) -> Report:
    """Return what writes a format of `FORMATS`."""
    module, function = FORMATS[name]
    if colour:
        function = COLOURFUL.get(name, function)
    found = getattr(import_module(f"{__name__}.{module}"), function)
    return cast("Report", found)
