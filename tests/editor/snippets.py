"""Snippets as editors expand them: `${1:text}` becomes `text`, and `$1` that again."""

from __future__ import annotations

import re

_FIELD = re.compile(r"(?<!\\)\$\{(\d+):((?:\\.|[^\\}$])*)\}")
_AGAIN = re.compile(r"(?<!\\)\$(?:(\d+)|\{(\d+)\})")
_ESCAPED = re.compile(r"\\([$}\\])")


def expand(snippet: str) -> str:
    """Returns the text in the file if no field is overwritten."""
    texts: dict[str, str] = {}

    def note(found: re.Match[str]) -> str:
        texts[found[1]] = found[2]
        return found[2]

    filled = _FIELD.sub(note, snippet)
    filled = _AGAIN.sub(lambda found: texts.get(found[1] or found[2], ""), filled)
    return _ESCAPED.sub(r"\1", filled)
