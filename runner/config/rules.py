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
    ("session", "idle", "nudge_after"): ("1s", "10m"),
    ("session", "idle", "end_after"): ("1s", "60m"),
}
_MINUTE = 60.0
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


def check_idle(inspection: Inspection) -> None:
    """VA311: the nudge comes before the end, and has a time if it has words."""
    idle: Pointer = ("session", "idle")
    say = inspection.get((*idle, "say"), str)
    nudge = inspection.get((*idle, "nudge_after"), str)
    end = inspection.get((*idle, "end_after"), str)
    if nudge is None:
        if say is not None and inspection.get(idle, dict) is not None:
            message = "`say` is never said without `nudge_after`"
            help_ = "add `nudge_after: 20s`, or take `say` away"
            inspection.report((*idle, "say"), "VA311", message, help_, at="key")
    elif end is not None and parse_duration(end) <= parse_duration(nudge):
        message = f"`end_after` is {end}; it must be more than `nudge_after`, {nudge}"
        help_ = "both are counted from the last word on either side"
        inspection.report((*idle, "end_after"), "VA311", message, help_)


def check_last_minute(inspection: Inspection) -> None:
    """VA312: a call whose last minute is announced is limited, and lasts longer."""
    line: Pointer = ("session", "one_minute_left")
    if inspection.get(line, str) is None:
        return
    limit: Pointer = ("session", "max_duration")
    text = inspection.get(limit, str)
    if text is None:
        if inspection.is_sound(limit):
            message = "`one_minute_left` is never said without `max_duration`"
            help_ = "add `max_duration: 30m`, or take it away"
            inspection.report(line, "VA312", message, help_, at="key")
    elif parse_duration(text) <= _MINUTE:
        message = f"`max_duration` is {text}: a minute before its end is no time"
        help_ = "make it longer, or take `one_minute_left` away"
        inspection.report(limit, "VA312", message, help_)


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
    check_idle,
    check_last_minute,
    check_prompt_file,
    check_variables,
    check_placeholders,
    check_tool_names,
    check_python,
    check_parameters,
    check_url_arguments,
)
