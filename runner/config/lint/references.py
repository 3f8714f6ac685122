"""The prompt file of an agent: read once, or why it cannot be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runner.config.paths import resolve_inside
from runner.config.source import Source, SourceError, read_source
from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from runner.config.lint.context import RuleContext

Problem = Literal["outside", "missing", "unreadable", "no text", "empty"]


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What `prompt_file` led to; all None where there is no such field."""

    reference: str | None = None
    source: Source | None = None
    problem: Problem | None = None
    message: str = ""  # of an unreadable file
    fault: SourceError | None = None  # of a file that is no text


def read_prompt(inspection: RuleContext) -> PromptFile:
    """Read the prompt file, if the agent has one and it may be read."""
    reference = inspection.get(("prompt_file",), str)
    if reference is None:
        return PromptFile()
    real = resolve_inside(inspection.folder, reference)
    if real is None:
        return PromptFile(reference, problem="outside")
    # Unlike pathlib's, it answers for names that no file can have, too.
    if not os.path.exists(real):
        return PromptFile(reference, problem="missing")
    shown = str(Path(inspection.document.source.path).parent / reference)
    try:
        source = read_source(real, shown)
    except FileUnreadable as error:
        return PromptFile(reference, problem="unreadable", message=error.message)
    except SourceError as fault:
        return PromptFile(reference, problem="no text", fault=fault)
    if not source.text.strip():
        return PromptFile(reference, problem="empty")
    return PromptFile(reference, source)
