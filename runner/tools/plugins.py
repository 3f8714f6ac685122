"""Installed tools and tool kinds, and the tool kind `plugin` that refers to them.

A distribution offers tools in the entry-point group `vagent.tools`. The name of an
entry point is the name in the agent file; it points at one of these:

    a function     plain or async; its signature and docstring are the schema, and
                   `tool(...)` sets effect, timeout and other traits
    a tool         any object with `definition` and `run` (runner.tools.tool.Tool)
    a class        called with the settings of the agent file; its instance is the tool

    - plugin: end_call
    - plugin: {name: crm_lookup, region: eu}     # settings: `region`, for a class

Tool kinds are entry points in the group `vagent.tool_kinds`, named like the kind's key.
They point at a class with `key`, `schema` and `load` (ToolKind). The built-in tools and
kinds are registered in the same groups.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from runner.config.model import AgentConfig, Kinds, ToolConfig
from runner.config.schema import builtin_kinds
from runner.errors import ToolError
from runner.tools.python import load_function
from runner.tools.tool import (
    ClosableTool,
    Tool,
    ToolDefinition,
    ToolKind,
    ToolTraits,
    define_tool,
    tool,
)

__all__ = [
    "BrokenKind",
    "ConfiguredTool",
    "PluginKind",
    "installed_kinds",
    "installed_tools",
    "tool",
]

TOOLS_GROUP = "vagent.tools"
KINDS_GROUP = "vagent.tool_kinds"

# Keys of tools of every kind.
_TOOL_FIELDS = frozenset(each.name for each in fields(ToolConfig)) - {"kind"}

_log = logging.getLogger("vagent.tools")


class BrokenKind:
    """Replaces a tool kind that cannot be imported; `load` raises the reason."""

    # The schema is unknown, so any settings are valid.
    schema: Mapping[str, Any] = {}

    def __init__(self, key: str, problem: ToolError) -> None:
        self.key = key
        self.problem = problem

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        raise self.problem


@dataclass(frozen=True, slots=True)
class ConfiguredTool:
    """A plugin's tool with the definition from the agent file."""

    definition: ToolDefinition
    inner: Tool

    @property
    def run(self) -> Callable[[Mapping[str, Any]], object]:
        # The inner method itself, so that the registry detects a coroutine function.
        return self.inner.run

    async def close(self) -> None:
        if isinstance(self.inner, ClosableTool):
            await self.inner.close()


class PluginKind:
    """Loads the tools of installed distributions."""

    key = "plugin"

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema of the settings, from the packaged agent schema."""
        return builtin_kinds()["plugin"]

    def __init__(self) -> None:
        self._installed: Mapping[str, EntryPoint] | None = None  # slow to find

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        """Returns the tool of the entry point that the settings name."""
        name, settings = _read_settings(config.settings)
        if self._installed is None:
            self._installed = installed_tools()
        found = self._installed.get(name)
        if found is None:
            known = ", ".join(sorted(self._installed)) or "none"
            raise ToolError(
                f"no plugin named {name!r} is installed", hint=f"installed: {known}"
            )
        target = _load(found)
        if isinstance(target, type):
            return _from_class(target, found, config, settings)
        if settings:
            given = ", ".join(repr(key) for key in settings)
            raise ToolError(f"the plugin {name!r} takes no settings, but has {given}")
        if _is_tool(target):
            return _configure(target, config)
        if callable(target):
            return load_function(target, config, name)
        raise ToolError(
            f"{_describe(found)} is neither a function nor a tool",
            hint="report it to its author; see the entry-point group vagent.tools",
        )


def installed_tools() -> Mapping[str, EntryPoint]:
    """Returns the installed tools by name, not yet imported."""
    return _find(TOOLS_GROUP)


def installed_kinds() -> Mapping[str, ToolKind]:
    """Returns an instance of each installed tool kind by its key.

    A kind that cannot be imported is logged and returned as a `BrokenKind`.
    """
    kinds: dict[str, ToolKind] = {}
    for key, found in _find(KINDS_GROUP).items():
        try:
            kinds[key] = _load_kind(key, found)
        except ToolError as error:
            _log.warning("%s", error)
            if key not in _TOOL_FIELDS:
                kinds[key] = BrokenKind(key, error)
    return kinds


def _find(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry_point in entry_points(group=group):
        name, other = entry_point.name, found.get(entry_point.name)
        if other is None or _is_ours(entry_point):
            found[name], other = entry_point, found.get(name)
        if other is not None and other.value != entry_point.value:
            _log.warning(
                "two installed packages offer %r; %s is used",
                name,
                _describe(found[name]),
            )
    return found


def _load_kind(key: str, found: EntryPoint) -> ToolKind:
    target = _load(found)
    try:
        kind: ToolKind = target() if isinstance(target, type) else target
        complete = getattr(kind, "key", None) == key and isinstance(
            getattr(kind, "schema", None), Mapping
        )
    except Exception as error:  # of the plugin's constructor
        raise ToolError(f"{_describe(found)} fails: {_reason(error)}") from error
    if not complete or not callable(getattr(kind, "load", None)):
        raise ToolError(
            f"{_describe(found)} is not a tool kind: it needs key {key!r}, a schema "
            "and load()"
        )
    if not _is_ours(found):
        _check_schema(kind, found)
    return kind


def _check_schema(kind: ToolKind, found: EntryPoint) -> None:
    """Raises `ToolError` for a kind that would break the schema of all agent files."""
    # Loads jsonschema; the built-in kinds are not checked.
    from runner.tools.arguments import find_schema_error

    if kind.key in _TOOL_FIELDS:
        raise ToolError(f"{_describe(found)}: every tool has a field {kind.key!r}")
    problem = find_schema_error(kind.schema)
    if problem:
        raise ToolError(f"{_describe(found)} has an invalid schema: {problem}")


def _load(found: EntryPoint) -> Any:
    try:
        return found.load()
    except (Exception, SystemExit) as error:  # of the plugin's import
        raise ToolError(
            f"{_describe(found)} cannot be loaded: {_reason(error)}",
            hint="update or remove that package",
        ) from error


def _from_class(
    target: type, found: EntryPoint, config: ToolConfig, settings: dict[str, Any]
) -> Tool:
    try:
        inspect.signature(target).bind(**settings)
    except TypeError as error:
        raise ToolError(f"settings of the plugin {found.name!r}: {error}") from error
    except ValueError:
        pass  # a class without a readable signature; the call below checks it
    try:
        built = target(**settings)
    except ToolError:
        raise
    except Exception as error:  # of the plugin's constructor
        # The message may quote the settings, which may hold a secret.
        kind = type(error).__name__
        raise ToolError(f"{_describe(found)} refuses its settings: {kind}") from error
    if not _is_tool(built):
        raise ToolError(f"{_describe(found)} is not a tool: no definition or run()")
    return _configure(built, config)


def _configure(inner: Tool, config: ToolConfig) -> Tool:
    own = inner.definition
    traits = ToolTraits(
        name=own.name,
        description=own.description,
        timeout=own.timeout,
        effect=own.effect,
        on_interrupt=own.on_interrupt,
        announce=own.announce,
    )
    if config.effect not in (None, own.effect):
        traits = replace(traits, on_interrupt=None)  # follows the new effect
    parameters = own.parameters if config.parameters is None else config.parameters
    return ConfiguredTool(define_tool(config, parameters, traits), inner)


def _is_tool(target: object) -> bool:
    definition = getattr(target, "definition", None)
    return isinstance(definition, ToolDefinition) and callable(
        getattr(target, "run", None)
    )


def _read_settings(settings: object) -> tuple[str, dict[str, Any]]:
    if isinstance(settings, str):
        return settings, {}
    if isinstance(settings, Mapping) and isinstance(settings.get("name"), str):
        rest = {str(key): value for key, value in settings.items() if key != "name"}
        return settings["name"], rest
    raise ToolError(
        "the plugin has no name", hint="write plugin: end_call or {name: end_call}"
    )


def _is_ours(entry_point: EntryPoint) -> bool:
    return entry_point.dist is not None and entry_point.dist.name == "vagent"


def _describe(found: EntryPoint) -> str:
    dist = found.dist.name if found.dist is not None else "an unknown package"
    return f"the plugin {found.name!r} of {dist}"


def _reason(error: BaseException) -> str:
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def added_kinds() -> Kinds:
    """Returns the schemas of the kinds that plugins add, by key.

    Imports plugins only if one of them adds a kind.
    """
    names = {each.name for each in entry_points(group=KINDS_GROUP)}
    if names <= builtin_kinds().keys():
        return {}
    return {key: kind.schema for key, kind in installed_kinds().items()}
