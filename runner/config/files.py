"""Which files an agent file draws on, read from its text however broken it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.config.document import parse_document
from runner.config.paths import resolve_inside
from runner.config.source import SourceFault, read_source
from runner.errors import FileUnreadable


def referenced_files(path: Path) -> frozenset[Path]:
    """Return the prompt file and the Python files of the tools, there or not.

    Beside a tool's file come the Python files of its folder, which it may import. Paths
    are spelled from the agent file's folder; what lies outside it is left out, since
    nothing is read from there. Of a file that is no YAML nothing is known.
    """
    try:
        document, _ = parse_document(read_source(path))
    except (FileUnreadable, SourceFault):
        return frozenset()
    value = document.value if document is not None else None
    if not isinstance(value, dict):
        return frozenset()
    found: set[Path] = set()
    prompt = value.get("prompt_file")
    if isinstance(prompt, str) and resolve_inside(path.parent, prompt):
        found.add(path.parent / prompt)
    for reference in _python_files(value.get("tools")):
        if resolve_inside(path.parent, reference):
            file = path.parent / reference
            found |= {file, *file.parent.glob("*.py")}
    return frozenset(found)


def _python_files(tools: Any) -> list[str]:
    entries = tools if isinstance(tools, list) else []
    references = [each.get("python") for each in entries if isinstance(each, dict)]
    return [
        each.rpartition(":")[0]
        for each in references
        if isinstance(each, str) and ":" in each
    ]
