"""A tool of the brief, read once: what it is called, what it wants, what it does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Arguments in which the model sums up in its own words, so that they cannot be checked
# against what the caller said.
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
    """One argument of a tool; `schema` is its JSON Schema."""

    name: str
    schema: Mapping[str, Any]
    is_required: bool

    @property
    def description(self) -> str:
        text = self.schema.get("description")
        return text.strip() if isinstance(text, str) else ""

    @property
    def is_free_text(self) -> bool:
        """Whether the model may fill it in its own words."""
        words = re.split(r"[_\-\s]+", self.name.lower())
        return bool(words) and words[-1] in _FREE_TEXT


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What the mind knows of one tool; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]
    slots: tuple[ToolParameter, ...]

    @property
    def required(self) -> tuple[ToolParameter, ...]:
        return tuple(slot for slot in self.slots if slot.is_required)

    @property
    def ends_call(self) -> bool:
        """Whether running it ends the call.

        The wire does not say what a tool does to the call, so this is the one place
        that tells it from the tool's name or the beginning of its description.
        """
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
    """Read the tools of a brief; one without a usable name is left out."""
    return tuple(
        read_tool_spec(tool)
        for tool in tools
        if isinstance(tool.get("name"), str) and tool["name"]
    )


def read_tool_spec(tool: Mapping[str, Any]) -> ToolSpec:
    """Read one tool as it is on the wire, whatever is missing from it."""
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
        slots=tuple(
            ToolParameter(
                name, value if isinstance(value, Mapping) else {}, name in required
            )
            for name, value in properties.items()
        ),
    )
