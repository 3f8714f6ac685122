"""Loads an agent and its tools, and resolves an agent with the origin of each value."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.credentials import find_environment_secrets
from runner.config.lint.context import RuleContext
from runner.config.lint.references import find_uses, read_prompt
from runner.config.lint.secrets import agent_secrets, find_leaks
from runner.config.loader import inspect_agent, load_agent
from runner.config.model import (
    TOOL_FIELDS,
    AgentConfig,
    build_agent,
    resolve_variables,
    session_fields,
)
from runner.config.provenance import (
    Origin,
    Origins,
    TracedConfig,
    placeholder_for,
    trace,
)
from runner.config.yaml.nodes import Pointer
from runner.engine.services import ASSEMBLYAI_KEY, OTHER_KEY, choose_service
from runner.errors import ToolError
from runner.event_loop import run_async
from runner.protocol.messages import SessionUpdate
from runner.redaction import Redactor
from runner.tools.plugins import installed_kinds
from runner.tools.python import AsyncFunction, PlainFunction
from runner.tools.registry import ToolRegistry, load_each, load_tools, wire_definition
from runner.tools.tool import (
    Tool,
    ToolDefinition,
    ToolTraits,
    declared_traits,
    define_tool,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config.model import AgentConfig, ToolConfig
    from runner.tools.tool import Tool, ToolDefinition


def load_agent_and_tools(
    path: Path,
    variables: Mapping[str, str],
    environment: Mapping[str, str],
    add_secrets: Callable[[frozenset[str]], None] = lambda secrets: None,
) -> tuple[AgentConfig, ToolRegistry]:
    """Returns an agent and its tools.

    `add_secrets` receives the secrets of the file before a tool is loaded, because the
    error of a tool may quote them.

    Raises:
        ConfigError: the file has findings. ToolError: a tool cannot be loaded.
    """
    kinds = installed_kinds()
    agent = load_agent(
        path,
        environment=environment,
        variables=variables,
        kinds={key: kind.schema for key, kind in kinds.items()},
    )
    # Both keys, whichever service is used: a tool can read them, too.
    values = (environment.get(name) for name in (ASSEMBLYAI_KEY, OTHER_KEY))
    secrets = agent_secrets(agent).union(filter(None, values))
    add_secrets(secrets)
    return agent, load_tools(agent, kinds, secrets)


HIDDEN = "••••"


@dataclass(frozen=True, slots=True)
class ResolvedAgent:
    """An agent as a call would use it, with the origin of each value and no secrets.

    `update` is the message that opens a session. `unset` are the variables (`name`) and
    environment variables (`env:NAME`) that are required and have no value; `problems`
    are the errors of tools that cannot be loaded, one sentence each. `definitions` are
    the tools that are known, and `left_out` says of each other one what it lacks.
    """

    path: Path
    traced: TracedConfig
    update: SessionUpdate
    unset: tuple[str, ...]
    problems: tuple[str, ...]
    definitions: tuple[ToolDefinition, ...] = ()
    left_out: tuple[str, ...] = ()

    def origins(self) -> Iterator[tuple[Pointer, Origin]]:
        """Yields the pointer of each leaf value with its origin."""
        for path in _leaves(self.traced.values, ()):
            yield path, self.traced.origin(path)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A tool for display; `definition` is None if it is not known."""

    definition: ToolDefinition | None = None
    tool: Tool | None = None
    problem: str | None = None
    note: str | None = None  # reason why it was not loaded, other than an error


def resolve(
    path: Path, given: Mapping[str, str], environment: Mapping[str, str]
) -> ResolvedAgent:
    """Resolves an agent file with the variables that were `given`.

    Loads the tools, which imports the Python files of the agent. Missing values and
    tools that cannot be loaded are part of the result.

    Raises:
        ConfigError: the file has findings.
        FileUnreadable: the file cannot be read.
        UsageError: a variable is given that the file does not declare.
    """
    kinds = installed_kinds()
    inspection = inspect_agent(
        path,
        environment=environment,
        variables=given,
        kinds={key: kind.schema for key, kind in kinds.items()},
    )
    value = inspection.document.value
    declared = {name: f"${{{name}}}" for name in value.get("variables", {})}
    variables = {**declared, **resolve_variables(value, given)}
    names = _environment_names(inspection)
    hidden = {name: placeholder_for(name) for name in names}
    redactor = _redactor(inspection, names, environment)
    real = _build(inspection, path, variables, {**hidden, **environment})
    shown = _build(inspection, path, variables, hidden)
    traced = trace(inspection, given, variables, hidden)
    tools, problems = _load(inspection, real, shown, kinds, redactor)
    _add_tools(traced, shown, value, tools)
    _add_service(traced, environment)
    wired = [wire_definition(each.definition) for each in tools if each.definition]
    fields = session_fields(shown, wired)
    unset = [each for each in declared if traced.values["variables"][each] is None]
    unset += [f"env:{name}" for name in names if name not in environment]
    return ResolvedAgent(
        path,
        _mask(traced, redactor),
        SessionUpdate(redactor.tree(fields, keys=False)),
        tuple(unset),
        tuple(problems),
        tuple(
            _redacted(each.definition, redactor) for each in tools if each.definition
        ),
        tuple(
            f"{config.name or config.kind}: {each.note}"
            for config, each in zip(shown.tools, tools, strict=True)
            if each.note and each.definition is None
        ),
    )


def _redacted(definition: ToolDefinition, redactor: Redactor) -> ToolDefinition:
    """Returns a definition for display."""
    description, announce = definition.description, definition.announce
    return replace(
        definition,
        description=description and redactor.text(description),
        announce=announce and redactor.text(announce),
        parameters=redactor.tree(definition.parameters, keys=False),
    )


def _build(
    inspection: RuleContext,
    path: Path,
    variables: Mapping[str, str],
    environment: Mapping[str, str],
) -> AgentConfig:
    prompt = inspection.fact(read_prompt).source
    text = prompt.text if prompt else None
    return build_agent(path, inspection.document.value, text, variables, environment)


def _environment_names(inspection: RuleContext) -> list[str]:
    """Returns the environment variables that the file uses, each once, in order."""
    uses = (use.placeholder for use in inspection.fact(find_uses))
    return list(dict.fromkeys(use.name for use in uses if use.kind == "environment"))


def _redactor(
    inspection: RuleContext, names: list[str], environment: Mapping[str, str]
) -> Redactor:
    """Returns a redactor for secrets in the file and in the environment."""
    redactor = Redactor()
    for leak in inspection.fact(find_leaks):
        redactor.add((leak.place.source.text[slice(*leak.place.span)],), HIDDEN)
    # Keys too that only a tool might read.
    always = (ASSEMBLYAI_KEY, OTHER_KEY, *names)
    for name, value in find_environment_secrets(environment, always):
        redactor.add((value,), placeholder_for(name))
    return redactor


def _load(
    inspection: RuleContext,
    real: AgentConfig,
    shown: AgentConfig,
    kinds: Mapping[str, Any],
    redactor: Redactor,
) -> tuple[list[_Shown], list[str]]:
    """Loads the tools, with real settings, because tools may check them."""
    tools: list[_Shown] = []
    loaded: list[Tool] = []
    for index, each in enumerate(load_each(real, kinds)):
        if not isinstance(each, ToolError):
            loaded.append(each)
            tools.append(_Shown(each.definition, each))
            continue
        missing = _unset_in(inspection, ("tools", index))
        if missing:
            config = shown.tools[index]
            note = f"{', '.join(missing)} not set"
            known = config.kind == "http"  # completely defined by the file
            definition = define_tool(config, config.parameters or {}, ToolTraits())
            tools.append(_Shown(definition if known else None, note=note))
        else:
            tools.append(_Shown(problem=redactor.text(_one_line(each))))
    problems = [each.problem for each in tools if each.problem]
    try:
        registry = ToolRegistry(loaded, secrets=real.secrets)
    except ToolError as error:
        problems.append(redactor.text(_one_line(error)))
    else:
        run_async(registry.close())
    return tools, problems


def _one_line(error: ToolError) -> str:
    return error.with_hint.replace("\n", " ")


def _unset_in(inspection: RuleContext, path: Pointer) -> list[str]:
    """Returns the placeholders below `path` that have no value, as written."""
    missing = []
    variables = inspection.document.value.get("variables", {})
    given = inspection.variables or {}
    for use in inspection.fact(find_uses):
        name = use.placeholder.name
        if use.path[: len(path)] != path:
            continue
        if use.placeholder.kind == "environment":
            if name not in inspection.environment:
                missing.append(use.text)
        elif name not in given and "default" not in variables.get(name, {"default"}):
            missing.append(use.text)
    return list(dict.fromkeys(missing))


def _add_tools(
    traced: TracedConfig,
    agent: AgentConfig,
    value: Mapping[str, Any],
    tools: list[_Shown],
) -> None:
    entries = []
    for index, (config, tool) in enumerate(zip(agent.tools, tools, strict=True)):
        written = value["tools"][index]
        path: Pointer = ("tools", index)
        for part, origin in _tool_origins(agent, index, written, tool).items():
            traced.origins[(*path, *part)] = origin
        entry: dict[str, Any] = {}
        if tool.problem:
            entry["problem"] = tool.problem
            traced.origins[(*path, "problem")] = traced.origin((*path, config.kind))
        for name in TOOL_FIELDS:
            entry[name] = getattr(tool.definition or config, name)
            if tool.definition is None and name not in written:
                entry[name] = None
        if entry["timeout"] is not None:
            entry["timeout"] = _duration(entry["timeout"])
        entry[config.kind] = config.settings
        entries.append(entry)
    traced.values["tools"] = entries


def _tool_origins(
    agent: AgentConfig, index: int, written: Mapping[str, Any], tool: _Shown
) -> Origins:
    """Returns the origins of the fields that the tool's entry in the file omits."""
    config = agent.tools[index]
    if tool.tool is not None:
        return definition_origins(tool.tool, config, written, agent)
    unsaid = [name for name in TOOL_FIELDS if name not in written]
    origins: Origins = {}
    if tool.note is not None:
        origins[config.kind,] = Origin("unloaded", detail=tool.note)
    if tool.definition is None:
        reason = Origin("unloaded", detail="see its problem" if tool.problem else "")
        return origins | {(name,): reason for name in unsaid}
    return origins | {(name,): default_origin(name, tool.definition) for name in unsaid}


def _add_service(traced: TracedConfig, environment: Mapping[str, str]) -> None:
    """Adds the service that a call would use if the file names none."""
    if traced.values["service"]["url"] is None:
        service = choose_service(None, None, environment)
        traced.values["service"]["url"] = service.url
        detail = service.why if service.url else f"{service.name} ({service.why})"
        traced.origins["service", "url"] = Origin("default", detail=detail)


def _duration(seconds: float) -> str:
    """Returns seconds in the format of an agent file."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    return f"{seconds:g}s"


def _leaves(value: Any, path: Pointer) -> Iterator[Pointer]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for index, each in enumerate(value):
            yield from _leaves(each, (*path, index))
    else:
        yield path


def _mask(traced: TracedConfig, redactor: Redactor) -> TracedConfig:
    values = redactor.tree(traced.values, keys=False)
    origins = {}
    for path, origin in traced.origins.items():
        shown = tuple(redactor.text(p) if isinstance(p, str) else p for p in path)
        file = origin.file and redactor.text(origin.file)
        detail = redactor.text(origin.detail)
        origins[shown] = replace(origin, file=file, detail=detail)
    return TracedConfig(values, origins)


def posix_path(path: Path) -> str:
    """Returns a path with forward slashes on every system."""
    return str(path).replace(os.sep, "/")


_NOTES = {
    "description": "empty",
    "parameters": "takes no arguments",
    "on_interrupt": "by its effect",
    "announce": "not announced",
}
_PLAIN = {"timeout": 30.0, "effect": "read", "announce": None}


def definition_origins(
    tool: Tool, config: ToolConfig, written: Mapping[str, Any], agent: AgentConfig
) -> Origins:
    """Returns the origin of each field of a loaded tool that its entry omits.

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
    traits = declared_traits(tool.function) or ToolTraits()
    file, line = _place(tool.function, agent)
    if name != "parameters" and getattr(traits, name) is not None:
        return Origin("mark", file, line)
    if name == "description" and value:
        return Origin("docstring", file, line)
    if name in ("name", "parameters"):
        return Origin("signature", file, line)
    return default_origin(name, tool.definition)


def default_origin(name: str, definition: ToolDefinition) -> Origin:
    """Returns the origin of a field that neither the file nor the tool sets."""
    is_told = name == "on_interrupt" or not getattr(definition, name)
    return Origin("default", detail=_NOTES.get(name, "") if is_told else "")


def _plugin_name(config: ToolConfig) -> str:
    settings = config.settings
    name = settings.get("name") if isinstance(settings, dict) else settings
    return str(name) if config.kind == "plugin" else config.kind


def _place(function: Any, agent: AgentConfig) -> tuple[str | None, int | None]:
    """Returns the file, relative to the agent's folder, and the line of a function."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:  # a callable object
        return None, None
    path, folder = Path(code.co_filename), agent.folder.resolve()
    inside = path.is_relative_to(folder)
    return (
        path.relative_to(folder).as_posix() if inside else path.name,
        code.co_firstlineno,
    )
