"""How results of scenarios are written: one function a format."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from runner.testing.results import Report

Write: TypeAlias = "Callable[[Report], str]"

# The module and the function that write a format.
FORMATS: dict[str, tuple[str, str]] = {
    "text": ("text", "write_text"),
    "json": ("objects", "write_json"),
    "junit": ("junit", "write_junit"),
    "github": ("annotations", "write_github"),
    "tap": ("tap", "write_tap"),
}


def load_writer(name: str, *, colour: bool = False) -> Write:
    """Return what writes a format of `FORMATS`; colours are for text."""
    module, function = FORMATS[name]
    if colour and name == "text":
        function = "write_coloured_text"
    found = getattr(import_module(f"{__name__}.{module}"), function)
    return cast("Write", found)
