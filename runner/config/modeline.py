"""The comment that tells editors which schema a file follows, and that schema."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from runner.config.source import Span

if TYPE_CHECKING:
    from pathlib import Path

AGENT_SCHEMA = "agent.schema.json"
SUITE_SCHEMA = "scenario.schema.json"
_LEVELS = 3  # folders above the agent's that are searched

# The language server's form, and the one that JetBrains' editors and newer servers
# know.
_MODELINE = (
    r"^[ \t]*#[ \t]*(?:yaml-language-server[ \t]*:[^\r\n]*?\$schema=|\$schema:[ \t]*)"
    r"(\S*)"
)
_URL = r"[A-Za-z][A-Za-z0-9+.-]+:"  # a drive has one letter
_DIRECTIVES = r"(?:%[^\r\n]*(?:\r\n|\n|\r))*"
_LINE_END = r"\r\n|\n|\r"


def find_modeline(text: str) -> Span | None:
    """The place of what the first modeline refers to; None without a modeline."""
    if "$schema" not in text:
        return None
    found = re.search(_MODELINE, text, re.MULTILINE)
    return Span(*found.span(1)) if found else None


def is_missing(reference: str, folder: Path) -> bool:
    """Whether a modeline refers to a file that is not there."""
    if not reference or re.match(_URL, reference):
        return False
    return not os.path.exists(os.path.join(folder, reference))


def find_schema(folder: Path, name: str = AGENT_SCHEMA) -> str | None:
    """Return how a modeline refers to a schema in a folder or those above it.

    Above, only within the repository that the folder is in.
    """
    start = os.path.abspath(folder)
    current, prefix = start, "./"
    for level in range(_LEVELS + 1):
        if os.path.isfile(os.path.join(current, name)):
            return prefix + name if level == 0 or _has_root(current) else None
        if os.path.exists(os.path.join(current, ".git")):
            return None
        current = os.path.dirname(current)
        prefix = "../" * (level + 1)
    return None


def _has_root(folder: str) -> bool:
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return True


def modeline_for(text: str, reference: str) -> tuple[int, str]:
    """Return where a modeline goes in a text, and the line with the text's line end."""
    directives = re.match(_DIRECTIVES, text)
    at = directives.end() if directives else 0
    end = re.search(_LINE_END, text)
    line = f"# yaml-language-server: $schema={reference}"
    return at, line + (end[0] if end else "\n")
