"""What must hold beyond the schema: the table of rules, and the small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.callables import check_python
from runner.config.durations import parse_duration
from runner.config.parameters import check_parameters, check_url_arguments
from runner.config.references import (
    check_placeholders,
    check_prompt_file,
    check_variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.config.inspection import Inspection
    from runner.config.nodes import Pointer

# Seconds. From the service: silences 50 ms to 10 s, interruption_delay 0 to 1 s,
# a tool's time up to 300 s, a session up to three hours.
_SILENCE = ("50ms", "10s")
_RANGES = {
    ("turn_detection", "min_silence"): _SILENCE,
    ("turn_detection", "max_silence"): _SILENCE,
    ("turn_detection", "interruption_delay"): ("0ms", "1s"),
    ("session", "max_duration"): ("1s", "180m"),
}
_TIMEOUT = ("1ms", "300s")


def check_durations(inspection: Inspection) -> None:
    """VA209: durations lie in the range of their field."""
    for path, limits in _RANGES.items():
        _check_duration(inspection, path, limits)
    for tool in inspection.tools():
        _check_duration(inspection, (*tool, "timeout"), _TIMEOUT)


def _check_duration(
    inspection: Inspection, path: Pointer, limits: tuple[str, str]
) -> None:
    text = inspection.get(path, str)
    if text is None:
        return
    low, high = limits
    if not parse_duration(low) <= parse_duration(text) <= parse_duration(high):
        inspection.unsound |= {path}
        message = f"`{path[-1]}` is {text}; it goes from {low} to {high}"
        inspection.report(path, "VA209", message)


def check_silences(inspection: Inspection) -> None:
    """VA310: the shorter silence is shorter than the longer one."""
    low = inspection.get(("turn_detection", "min_silence"), str)
    high = inspection.get(("turn_detection", "max_silence"), str)
    if low is None or high is None:
        return
    if parse_duration(low) >= parse_duration(high):
        message = f"`min_silence` is {low}; it must be less than `max_silence`, {high}"
        help_ = "a turn ends after min_silence when it sounds finished, else later"
        inspection.report(("turn_detection", "min_silence"), "VA310", message, help_)


def check_tool_names(inspection: Inspection) -> None:
    """VA406: no two tools have the same name, given or by default."""
    seen: dict[str, int] = {}
    for tool in inspection.tools():
        named = _tool_name(inspection, tool)
        if named is None:
            continue
        name, path = named
        if name in seen:
            line = seen[name]
            message = f"another tool is called `{name}` too"
            help_ = f"the first one is in line {line}; give this one a `name`"
            inspection.report(path, "VA406", message, help_)
            continue
        span = inspection.document.value_span(path)
        seen[name] = inspection.document.source.point(span.start)[0]


def _tool_name(inspection: Inspection, tool: Pointer) -> tuple[str, Pointer] | None:
    for keys in (("name",), ("python",), ("plugin",), ("plugin", "name")):
        value = inspection.get((*tool, *keys), str)
        if value is not None:
            return value.rpartition(":")[2], (*tool, *keys)
    return None


# In this order: later rules leave alone what earlier ones found unsound.
RULES: tuple[Callable[[Inspection], None], ...] = (
    check_durations,
    check_silences,
    check_prompt_file,
    check_variables,
    check_placeholders,
    check_tool_names,
    check_python,
    check_parameters,
    check_url_arguments,
)
