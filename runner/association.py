"""Which schema VS Code uses for which files: `yaml.schemas` in `.vscode/settings.json`.

The file belongs to the person: an entry is put into its text, and the rest stays byte
for byte. What has comments, or is not as expected, is left alone.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from runner.config.document import parse_document
from runner.config.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.config.document import Document
    from runner.config.nodes import Pointer

_FIELD = "yaml.schemas"
_STRING = r'("(?:\\.|[^"\\])*")'
_COMMENT = re.compile(_STRING + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA = re.compile(_STRING + r"|,(?=\s*[}\]])")
_INDENT = "    "  # what VS Code itself writes


class NotEditable(Exception):
    """The settings cannot be changed without risk; `entry` is what should be added."""

    def __init__(self, reason: str, entry: str) -> None:
        super().__init__(reason)
        self.entry = entry


def associate(text: str, schema: str, patterns: Sequence[str]) -> str:
    """Return the settings with `schema` used for the files that `patterns` name.

    Both are relative to the folder of the workspace, with forward slashes. The same
    text comes back when it says so already. Raises `NotEditable`.
    """
    entry = f"{json.dumps(schema)}: {json.dumps(list(patterns), ensure_ascii=False)}"
    whole = f'"{_FIELD}": {{{entry}}}'
    if not text.strip():
        return f"{{\n{_INDENT}{whole}\n}}\n"
    try:
        settings = json.loads(_without_comments(text))
    except ValueError:
        raise NotEditable("it is not JSON", whole) from None
    wanted = _extended(settings, schema, patterns)
    if wanted is None:
        raise NotEditable("it is not as such files are", whole)
    if wanted == settings:
        return text
    if not _is_plain(text):
        raise NotEditable("its comments could end up at the wrong place", whole)
    edited = _edit(text, wanted, entry, whole, schema)
    if edited is None or json.loads(edited) != wanted:
        raise NotEditable("its form is unusual", whole)
    return edited


def _without_comments(text: str) -> str:
    """Take out what VS Code allows beyond JSON: comments, and commas at the end."""
    bare = _COMMENT.sub(lambda found: found[1] or " ", text)
    return _LAST_COMMA.sub(lambda found: found[1] or "", bare)


def _is_plain(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _extended(settings: Any, schema: str, patterns: Sequence[str]) -> Any:
    """Return the settings as they should be; None where that cannot be said."""
    if not isinstance(settings, dict):
        return None
    schemas = settings.get(_FIELD, {})
    if not isinstance(schemas, dict):
        return None
    already = schemas.get(schema, [])
    if isinstance(already, str):
        already = [already]
    if not isinstance(already, list):
        return None
    added = [each for each in patterns if each not in already]
    if not added:
        return settings
    return {**settings, _FIELD: {**schemas, schema: [*already, *added]}}


def _edit(text: str, wanted: Any, entry: str, whole: str, schema: str) -> str | None:
    """Put the new entry where it belongs; None where the place is not found."""
    # JSON is YAML; this reader knows where each value stands.
    document, findings = parse_document(Source("", text))
    if document is None or findings:
        return None
    if (_FIELD, schema) in _paths(document):
        place = document.node((_FIELD, schema))
        assert place is not None
        value = json.dumps(wanted[_FIELD][schema], ensure_ascii=False)
        return text[: place.span.start] + value + text[place.span.end :]
    if (_FIELD,) in _paths(document):
        return _insert(text, document, (_FIELD,), entry)
    return _insert(text, document, (), whole)


def _paths(document: Document) -> set[Pointer]:
    value = document.value
    inner = value.get(_FIELD)
    return {(key,) for key in value} | {(_FIELD, key) for key in inner or ()}


def _insert(text: str, document: Document, path: Pointer, entry: str) -> str | None:
    """Add an entry behind the last one of the mapping at `path`."""
    node = document.node(path)
    if node is None or node.entries is None:
        return None
    entries = list(node.entries.values())
    if not entries:
        begin = node.span.start + 1
        outer = _indent_of(text, node.span.start)
        end = _end_of_line(text)
        inside = f"{end}{outer}{_INDENT}{entry}{end}{outer}"
        return text[:begin] + inside + text[begin:].lstrip()
    last = entries[-1]
    if last.node is None:
        return None
    stop = last.node.span.end
    line = text[text.rfind("\n", 0, last.key.start) + 1 : last.key.start]
    # Entries that stand one a line get a line more, others a place more.
    between = _end_of_line(text) + line if line.isspace() or not line else " "
    return f"{text[:stop]},{between}{entry}{text[stop:]}"


def _indent_of(text: str, offset: int) -> str:
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    found = re.match(r"[ \t]*", line)
    return found[0] if found else ""


def _end_of_line(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
