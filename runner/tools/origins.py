"""Where a loaded tool's definition comes from, where the agent file does not say it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.provenance import Origin, Origins
from runner.tools.python import AsyncFunction, PlainFunction
from runner.tools.tool import ToolTraits, marked_traits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config.model import AgentConfig, ToolConfig
    from runner.tools.tool import Tool, ToolDefinition

_NOTES = {
    "description": "empty",
    "parameters": "takes no arguments",
    "on_interrupt": "by its effect",
    "announce": "nothing is said",
}
_PLAIN = {"timeout": 30.0, "effect": "read", "announce": None}


def definition_origins(
    tool: Tool, config: ToolConfig, written: Mapping[str, Any], agent: AgentConfig
) -> Origins:
    """Return the origin of each field of a definition that `written` does not decide.

    `written` is the tool's entry in the agent file.
    """
    definition = tool.definition
    origins: Origins = {}
    for name in ("name", "description", "parameters", "timeout", "effect"):
        if name not in written:
            origins[name,] = _origin(name, tool, config, agent)
    for name in ("on_interrupt", "announce"):
        if name not in written:
            origins[name,] = _origin(name, tool, config, agent)
    if "parameters" not in written and isinstance(tool, PlainFunction | AsyncFunction):
        said = tool.signature.docstring.parameters
        place = origins["parameters",]
        for name, schema in definition.parameters.get("properties", {}).items():
            path = ("parameters", "properties", name, "description")
            is_said = name in said and schema.get("description") == said[name]
            if is_said and place.kind == "signature":
                origins[path] = replace(place, kind="docstring")
    return origins


def _origin(name: str, tool: Tool, config: ToolConfig, agent: AgentConfig) -> Origin:
    value = getattr(tool.definition, name)
    by_effect = "finish" if tool.definition.effect == "write" else "cancel"
    if config.kind == "python" and isinstance(tool, PlainFunction | AsyncFunction):
        return _said_by_function(name, value, tool, agent)
    default = by_effect if name == "on_interrupt" else _PLAIN.get(name)
    is_own = value not in ("", {}, None, default)
    if config.kind != "http" and is_own:
        return Origin("plugin", detail=_plugin_name(config))
    return default_origin(name, tool.definition)


def _said_by_function(
    name: str, value: Any, tool: PlainFunction | AsyncFunction, agent: AgentConfig
) -> Origin:
    traits = marked_traits(tool.function) or ToolTraits()
    file, line = _place(tool.function, agent)
    if name != "parameters" and getattr(traits, name) is not None:
        return Origin("mark", file, line)
    if name == "description" and value:
        return Origin("docstring", file, line)
    if name in ("name", "parameters"):
        return Origin("signature", file, line)
    return default_origin(name, tool.definition)


def default_origin(name: str, definition: ToolDefinition) -> Origin:
    """Return the origin of a field that neither the file nor the tool decides."""
    is_told = name == "on_interrupt" or not getattr(definition, name)
    return Origin("default", detail=_NOTES.get(name, "") if is_told else "")


def _plugin_name(config: ToolConfig) -> str:
    settings = config.settings
    name = settings.get("name") if isinstance(settings, dict) else settings
    return str(name) if config.kind == "plugin" else config.kind


def _place(function: Any, agent: AgentConfig) -> tuple[str | None, int | None]:
    """Return the file, from the agent's folder, and the line where it is defined."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:  # a callable object
        return None, None
    path, folder = Path(code.co_filename), agent.folder.resolve()
    inside = path.is_relative_to(folder)
    return (
        path.relative_to(folder).as_posix() if inside else path.name,
        code.co_firstlineno,
    )
