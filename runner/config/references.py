"""Where an agent file names the other files that findings can be about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.lint.python_files import find_python_tools
from runner.config.lint.references import read_prompt

if TYPE_CHECKING:
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


def find_references(inspection: RuleContext) -> dict[str, set[int]]:
    """Return the lines that name a file, by its path as findings show it."""
    found: dict[str, set[int]] = {}
    prompt = inspection.fact(read_prompt).source
    named: list[tuple[str, Pointer]] = []
    if prompt is not None:
        named.append((prompt.path, ("prompt_file",)))
    for tool in inspection.fact(find_python_tools):
        if tool.content is not None and tool.content.problem is None:
            named.append((tool.content.source.path, tool.path))
    for path, pointer in named:
        place = inspection.value(pointer)
        line, _ = place.source.point(place.span.start)
        found.setdefault(path, set()).add(line)
    return found
