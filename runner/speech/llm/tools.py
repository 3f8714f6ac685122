"""Tool specifications: names, parameters, and whether a tool ends the call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Parameters that a model fills in with its own words, which cannot be checked against
# the caller's words.
_FREE_TEXT = frozenset(
    (
        *("reason", "message", "summary", "note", "notes", "comment", "comments"),
        *("description", "details", "issue", "problem", "text", "content", "body"),
        *("question", "topic", "feedback", "explanation"),
    )
)
_ENDING_NAME = re.compile(r"(end|finish|close|terminate)_?(the_?)?(call|conversation)")
_HANG_UP = re.compile(r"\bhangs?[ _]?up\b|\bhanging up\b")
_ENDING = re.compile(
    r"^(please )?(end|finish|close|terminate)s? (the |this )?"
    r"(phone )?(call|conversation)\b"
)


@dataclass(frozen=True, slots=True)
class ToolParameter:
    """One parameter of a tool; `schema` is its JSON Schema."""

    name: str
    schema: Mapping[str, Any]
    is_required: bool

    @property
    def description(self) -> str:
        text = self.schema.get("description")
        return text.strip() if isinstance(text, str) else ""

    @property
    def is_free_text(self) -> bool:
        """True if the model may fill it in with its own words."""
        words = re.split(r"[_\-\s]+", self.name.lower())
        return bool(words) and words[-1] in _FREE_TEXT


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]
    parameters: tuple[ToolParameter, ...]

    @property
    def required(self) -> tuple[ToolParameter, ...]:
        return tuple(
            parameter for parameter in self.parameters if parameter.is_required
        )

    @property
    def ends_call(self) -> bool:
        """True if the tool ends the call, by its name or description."""
        # `session.update` does not say what a tool does to the call.
        if self.required:
            return False
        name, text = self.name.lower(), self.description.lower()
        return bool(
            _ENDING_NAME.fullmatch(name)
            or _HANG_UP.search(name)
            or _HANG_UP.match(text)
            or _ENDING.match(text)
        )


def read_tool_specs(tools: Sequence[Mapping[str, Any]]) -> tuple[ToolSpec, ...]:
    """Reads the tools of `session.update`; skips tools without a name."""
    return tuple(
        read_tool_spec(tool)
        for tool in tools
        if isinstance(tool.get("name"), str) and tool["name"]
    )


def is_ending_tool(tools: Sequence[ToolSpec], name: str) -> bool:
    """Returns True if the tool of this name ends the call."""
    return any(tool.ends_call for tool in tools if tool.name == name)


def read_tool_spec(tool: Mapping[str, Any]) -> ToolSpec:
    """Reads one tool of `session.update`; invalid fields become empty."""

    schema = tool.get("parameters")
    schema = schema if isinstance(schema, Mapping) else {}
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    required = required if isinstance(required, Sequence) else ()
    description = tool.get("description")
    return ToolSpec(
        name=tool["name"],
        description=" ".join(description.split())
        if isinstance(description, str)
        else "",
        schema=schema,
        parameters=tuple(
            ToolParameter(
                name, value if isinstance(value, Mapping) else {}, name in required
            )
            for name, value in properties.items()
        ),
    )
