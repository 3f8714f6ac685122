"""Which files a file draws on, read from its text however broken it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.config.paths import resolve_inside
from runner.config.source import SourceError, read_source
from runner.config.yaml.parser import parse_document
from runner.errors import FileUnreadable


def referenced_files(path: Path) -> frozenset[Path]:
    """Return the prompt file and the Python files of the tools, there or not.

    Beside a tool's file come the Python files of its folder, which it may import. Paths
    are spelled from the agent file's folder; what lies outside it is left out, since
    nothing is read from there. Of a scenario file it is the agents that it names, and
    what they draw on. Of a file that is no YAML nothing is known.
    """
    value = _value(path)
    agents = {path.parent / each for each in _agents(value)}
    return frozenset(agents).union(
        _drawn_on(path, value), *(_drawn_on(each, _value(each)) for each in agents)
    )


def _value(path: Path) -> dict[str, Any]:
    try:
        document, _ = parse_document(read_source(path))
    except (FileUnreadable, SourceError):
        return {}
    value = document.value if document is not None else None
    return value if isinstance(value, dict) else {}


def _drawn_on(path: Path, value: dict[str, Any]) -> set[Path]:
    found: set[Path] = set()
    prompt = value.get("prompt_file")
    if isinstance(prompt, str) and resolve_inside(path.parent, prompt):
        found.add(path.parent / prompt)
    for reference in _python_files(value.get("tools")):
        if resolve_inside(path.parent, reference):
            file = path.parent / reference
            found |= {file, *file.parent.glob("*.py")}
    return found


def _agents(value: dict[str, Any]) -> list[str]:
    """Return the agents that a scenario file names."""
    scenarios = value.get("scenarios")
    if not isinstance(scenarios, list):
        return []
    named = [
        each.get("agent") for each in (value, *scenarios) if isinstance(each, dict)
    ]
    return [each for each in named if isinstance(each, str)]


def _python_files(tools: Any) -> list[str]:
    entries = tools if isinstance(tools, list) else []
    references = [each.get("python") for each in entries if isinstance(each, dict)]
    return [
        each.rpartition(":")[0]
        for each in references
        if isinstance(each, str) and ":" in each
    ]
