"""Placeholders `${name}`, `${env:NAME}` and `$${`: where they are allowed, expansion.

`lint.references` checks that variables exist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.yaml.nodes import Pointer

# literal: `${` has no meaning. text: variables. secret: variables and environment.
Policy: TypeAlias = Literal["literal", "text", "secret"]

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}\r\n]*)\}|\$\{")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ENVIRONMENT = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)

_LITERAL_FIELDS = {
    "version",
    "name",
    "prompt_file",
    "variables",
    "languages",
    "session",
}
_TOOL_TEXTS = {"description", "announce"}
_TOOL_LITERALS = {
    "name",
    "parameters",
    "timeout",
    "effect",
    "on_interrupt",
    "python",
}


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A `${...}` or `$${` in a text; `start` and `end` are offsets into it."""

    kind: Literal["variable", "environment", "escape", "malformed"]
    name: str
    start: int
    end: int


def policy(path: Pointer) -> Policy:
    """Returns what `${...}` may be in the text at `path`."""
    match path:
        case ("tools", _, key, *rest):
            return _tool_policy(key, rest)
        case ("service", "url") | ("local", "llm", "url" | "key"):
            return "secret"
        case ("session", "one_minute_left") | ("session", "idle", "say"):
            return "text"
        case ("transcription", "mode") | ("turn_detection", *_):
            return "literal"
        case (str(field), *_) if field in _LITERAL_FIELDS:
            return "literal"
    return "text"


def _tool_policy(key: str | int, rest: list[str | int]) -> Policy:
    if key in _TOOL_TEXTS:
        return "text"
    if key in _TOOL_LITERALS:
        return "literal"
    if key == "http" and rest[:1] == ["method"]:
        return "literal"
    if key == "plugin" and rest in ([], ["name"]):
        return "literal"
    # URL and headers of http and all settings of a plugin: they may need a key, and
    # they are never spoken.
    return "secret"


def find_placeholders(text: str) -> Iterator[Placeholder]:
    """Yields every placeholder of a text, in order."""
    if "${" not in text:
        return
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        body = found[1]
        if found[0] == "$${":
            yield Placeholder("escape", "", start, end)
        elif body is not None and _VARIABLE.fullmatch(body):
            yield Placeholder("variable", body, start, end)
        elif body is not None and (named := _ENVIRONMENT.fullmatch(body)):
            yield Placeholder("environment", named[1], start, end)
        else:
            yield Placeholder("malformed", body or "", start, end)


def find_texts(value: Any, path: Pointer = ()) -> Iterator[tuple[Pointer, str]]:
    """Yields each text in `value` that may have placeholders, with its path."""
    if isinstance(value, str):
        if policy(path) != "literal":
            yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from find_texts(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from find_texts(each, (*path, index))


class Expander:
    """Replaces placeholders and collects the environment values that it inserted."""

    def __init__(
        self, variables: Mapping[str, str], environment: Mapping[str, str]
    ) -> None:
        self.secrets: set[str] = set()
        self.names: dict[str, str] = {}  # of the secrets: their environment variables
        self._variables = variables
        self._environment = environment

    def expand_text(self, text: str) -> str:
        """Replaces the placeholders of a checked text; values are not expanded."""
        parts, done = [], 0
        for found in find_placeholders(text):
            parts += [text[done : found.start], self._value(found, text)]
            done = found.end
        return "".join(parts) + text[done:]

    def expand(self, value: Any, path: Pointer = ()) -> Any:
        """Replaces the placeholders in every text in `value` that may have them."""
        if isinstance(value, str):
            return value if policy(path) == "literal" else self.expand_text(value)
        if isinstance(value, dict):
            return {key: self.expand(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self.expand(each, (*path, i)) for i, each in enumerate(value)]
        return value

    def _value(self, found: Placeholder, text: str) -> str:
        match found.kind:
            case "escape":
                return "${"
            case "variable":
                return self._variables[found.name]
            case "environment":
                value = self._environment[found.name]
                self.secrets.add(value)
                self.names[value] = found.name
                return value
        raise AssertionError(f"unchecked placeholder {text[found.start : found.end]}")
