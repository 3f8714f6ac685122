"""Path patterns of the settings (`agents/**/*.yaml`), the same on every system."""

from __future__ import annotations

import re


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern is about a path; both with `/`, relative to the same folder.

    `**` stands for any number of folders, `*` and `?` stay within one name, `[...]` is
    a set of characters. A pattern without a slash is about names at any depth, and a
    pattern that is about a folder is about all that is in it.
    """
    pattern = pattern.replace("\\", "/").removeprefix("./").rstrip("/")
    if "/" not in pattern:
        pattern = f"**/{pattern}"
    pattern = pattern.removeprefix("/")
    return re.match(_expression(pattern) + r"(?:/.*)?\Z", path, re.DOTALL) is not None


def _expression(pattern: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        step = re.compile(r"\*\*/|\*+|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL).match(
            pattern, at
        )
        assert step is not None  # the last alternative takes any character
        parts.append(_piece(step[0]))
        at = step.end()
    return "".join(parts)


def _piece(text: str) -> str:
    if text == "**/":
        return "(?:[^/]+/)*"
    if text == "**":
        return ".*"
    if set(text) == {"*"}:
        return "[^/]*"
    if text == "?":
        return "[^/]"
    if text.startswith("[") and len(text) > 2:
        inside = text[1:-1].replace("\\", r"\\").replace("[", r"\[")
        inside = re.sub(r"^\]", r"\]", inside)
        return f"(?!/)[{'^' + inside[1:] if inside.startswith('!') else inside}]"
    return re.escape(text)
