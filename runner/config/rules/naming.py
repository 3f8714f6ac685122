"""Rule VA406: the names of tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding
from runner.config.rules.rule import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


@rule("VA406", "tool-name-taken")
def tool_name_taken(inspection: RuleContext) -> Iterator[Finding]:
    """Two tools have the same name, given or by default.

    The model calls a tool by its name: only one of the two could ever run.

    Bad:
        tools:
          - plugin: end_call
          - plugin: end_call

    Good:
        tools:
          - plugin: end_call
          - plugin: current_time
    """
    seen: dict[str, int] = {}
    for tool in inspection.tools():
        named = tool_name(inspection, tool)
        if named is None:
            continue
        name, path = named
        place = inspection.value(path)
        if name in seen:
            message = f"another tool is called `{name}` too"
            help_ = f"the first one is in line {seen[name]}; give this one a `name`"
            yield Finding(place, message, help_)
        else:
            seen[name] = place.source.point(place.span.start)[0]


def tool_name(inspection: RuleContext, tool: Pointer) -> tuple[str, Pointer] | None:
    """Return what the model calls a tool and where that stands, if it can be told."""
    for keys in (("name",), ("python",), ("plugin",), ("plugin", "name")):
        value = inspection.get((*tool, *keys), str)
        if value is not None:
            return value.rpartition(":")[2], (*tool, *keys)
    return None
