"""Scenarios as a file has them: defaults applied, parameters filled in, places kept.

What the schema or the parser has a finding for is left out, so that neither rules nor
the builder meet it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.config.files import read_agent_file
from runner.config.interpolation import find_placeholders
from runner.config.lint.tool_facts import find_definitions, find_names, name_of_tool
from runner.config.loader import examine_agent
from runner.errors import FileUnreadable
from runner.testing.scenarios.model import scenario_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.diagnostics import Diagnostic
    from runner.config.interpolation import Placeholder
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


# Mappings of which a scenario adds to, or replaces, single entries.
MERGED = ("variables", "environment", "mock")
# What replaces the default as a whole.
REPLACED = ("agent", "llm", "faults", "seed", "services")
# What a scenario has beside those of the file.
ADDED = ("tags",)


@dataclass(frozen=True, slots=True)
class Part:
    """A value of a scenario, parameters filled in, and where the file has it."""

    value: Any
    path: Pointer


@dataclass(frozen=True, slots=True)
class ExpandedScenario:
    """One combination of one scenario. `parts` are what is in force, by its key."""

    path: Pointer
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, Part]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    turns: tuple[Part, ...] = ()

    @property
    def id(self) -> str:
        """What the scenario will be called in reports."""
        return scenario_id(self.name, self.parameters)

    def part(self, key: str) -> Part | None:
        """Return what is in force for a key, if it is sound."""
        return self.parts.get(key)

    def value(self, key: str, default: Any = None) -> Any:
        """Return the value that is in force for a key."""
        part = self.parts.get(key)
        return default if part is None else part.value


def find_drafts(inspection: RuleContext) -> tuple[ExpandedScenario, ...]:
    """Return a draft for every combination of every scenario that is a mapping."""
    count = len(inspection.get(("scenarios",), list) or ())
    return tuple(
        draft
        for index in range(count)
        for draft in _drafts(inspection, ("scenarios", index))
    )


def _drafts(inspection: RuleContext, path: Pointer) -> Iterator[ExpandedScenario]:
    scenario = inspection.get(path, dict)
    if scenario is None:
        return
    parameters = inspection.get((*path, "parameters"), dict)
    for values in combinations(parameters):
        own = {
            key: fill(value, values, (key,))
            for key, value in scenario.items()
            if key != "parameters"
        }
        yield _draft(inspection, path, own, values)


def _draft(
    inspection: RuleContext, path: Pointer, own: dict[str, Any], values: dict[str, Any]
) -> ExpandedScenario:
    shared = {
        key: fill(value, {}, (key,))
        for key, value in inspection.document.value.items()
        if key != "scenarios"
    }
    name = own.get("name")
    sources: tuple[tuple[Pointer, dict[str, Any]], ...] = ((), shared), (path, own)
    tags = [
        each
        for at, fields in sources
        if "tags" in fields and inspection.is_whole((*at, "tags"))
        for each in listed(fields["tags"])
    ]
    return ExpandedScenario(
        path,
        name if isinstance(name, str) else "",
        values,
        {
            key: part
            for key in REPLACED
            if (part := _part(inspection, sources, key)) is not None
        },
        {key: _entries(inspection, sources, key) for key in MERGED},
        tuple(dict.fromkeys(tags)),
        tuple(_turns(inspection, path, own)),
    )


def _part(
    inspection: RuleContext,
    sources: tuple[tuple[Pointer, dict[str, Any]], ...],
    key: str,
) -> Part | None:
    for at, fields in reversed(sources):
        if key in fields:
            path = (*at, key)
            return Part(fields[key], path) if inspection.is_whole(path) else None
    return None


def _entries(
    inspection: RuleContext,
    sources: tuple[tuple[Pointer, dict[str, Any]], ...],
    key: str,
) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for at, fields in sources:
        entries = fields.get(key)
        for name, value in entries.items() if isinstance(entries, dict) else ():
            if inspection.is_whole((*at, key, name)):
                found[name] = Part(value, (*at, key, name))
            else:
                found.pop(name, None)
    return found


def _turns(
    inspection: RuleContext, path: Pointer, own: dict[str, Any]
) -> Iterator[Part]:
    turns = own.get("turns")
    for index, turn in enumerate(turns if isinstance(turns, list) else ()):
        at = (*path, "turns", index)
        if isinstance(turn, dict) and inspection.is_whole(at):
            yield Part(turn, at)


def listed(value: Any) -> list[Any]:
    """Return the items of a list, or of what stands for a list of one."""
    return value if isinstance(value, list) else [value]


# What `${name}` in a scenario becomes, for each combination of its parameters.
#
# Pure work on values; what is wrong with a placeholder is for the rules.


# Of one scenario. A matrix that is larger by mistake would only seem to hang.
MOST_COMBINATIONS = 1000


def is_matrix(parameters: Any) -> bool:
    """Whether these are parameters: names, each with a list of values."""
    return (
        isinstance(parameters, dict)
        and all(isinstance(each, list) and each for each in parameters.values())
        and bool(parameters)
    )


def combinations(parameters: Any) -> Iterator[dict[str, Any]]:
    """Yield a value for each parameter, the last one changing first, up to a limit.

    A scenario without parameters is one combination, of nothing.
    """
    if not is_matrix(parameters):
        yield {}
        return
    for values in islice(product(*parameters.values()), MOST_COMBINATIONS):
        yield dict(zip(parameters, values, strict=True))


def count_combinations(parameters: Any) -> int:
    """Return how many combinations there are."""
    count = 1
    for each in parameters.values() if is_matrix(parameters) else ():
        count *= len(each)
    return count


def fill(value: Any, values: Mapping[str, Any], path: Pointer = ()) -> Any:
    """Return a value with the parameters filled into every text below it.

    A text that is one placeholder and nothing else becomes the parameter's value. What
    stands for no parameter is left as it is. `path` is where the value stands in a
    scenario, or in what all scenarios share.
    """
    if isinstance(value, str):
        return fill_text(value, values, speaks=speaks(path)) if "${" in value else value
    if isinstance(value, dict):
        return {key: fill(each, values, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, values, (*path, i)) for i, each in enumerate(value)]
    return value


def fill_text(text: str, values: Mapping[str, Any], *, speaks: bool) -> Any:
    """Return a text with its placeholders replaced, once: values are not filled.

    What the mind `speaks` keeps the placeholders that are not parameters, and `$${`:
    they are about a result that has not come yet.
    """
    found = list(find_placeholders(text))
    if len(found) == 1 and (found[0].start, found[0].end) == (0, len(text)):
        only = found[0]
        if only.kind == "variable" and only.name in values:
            return values[only.name]
    parts, done = [], 0
    for each in found:
        parts += [text[done : each.start], _written(each, text, values, speaks)]
        done = each.end
    return "".join(parts) + text[done:]


def speaks(path: Pointer) -> bool:
    """Whether a text at this path of a scenario is one that the mind says."""
    match path:
        case ("llm", int(), "says"):
            return True
    return False


def _written(
    found: Placeholder, text: str, values: Mapping[str, Any], is_spoken: bool
) -> str:
    if found.kind == "variable" and found.name in values:
        value = values[found.name]
        return value if isinstance(value, str) else json.dumps(value)
    if found.kind == "escape" and not is_spoken:
        return "${"
    return text[found.start : found.end]


# What scenarios have to know of their agent: its tools, its variables, its faults.
#
# Read from the agent's files as `vagent validate` reads them; nothing is imported.


# What a tool of a kind that is not built in looks like at first.
_UNKNOWN_KIND = {"VA203", "VA210"}


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent file. `problem` says why it cannot be read; then the rest is empty.

    `tools` are None when not all of their names can be told, `schemas` those of the
    arguments that can be. `variables` say whether each has a default.
    """

    problem: str | None = None
    is_agent: bool = True
    errors: tuple[Diagnostic, ...] = ()
    tools: frozenset[str] | None = None
    schemas: Mapping[str, Any] = field(default_factory=dict)
    remote: frozenset[str] = frozenset()  # tools that ask a service elsewhere
    variables: Mapping[str, bool] | None = None
    greets: bool = True

    @property
    def is_valid(self) -> bool:
        """Whether something can be said about scenarios that use it."""
        return self.problem is None and self.is_agent and not self.errors


def find_agents(inspection: RuleContext) -> dict[str, Agent]:
    """Return the agents that the scenarios of a file name, each read once."""
    named = {draft.value("agent") for draft in inspection.fact(find_drafts)}
    return {
        name: read_agent(inspection.folder / name)
        for name in sorted(each for each in named if isinstance(each, str))
    }


def agent_of(inspection: RuleContext, draft: ExpandedScenario) -> Agent | None:
    """Return the agent of a scenario, if it is one that is sound."""
    agent = inspection.fact(find_agents).get(draft.value("agent", ""))
    return agent if agent is not None and agent.is_valid else None


def read_agent(path: Path) -> Agent:
    """Read and check an agent file."""
    try:
        reading = read_agent_file(path)
    except FileUnreadable as error:
        return Agent(problem=error.message)
    if reading.is_suite:
        return Agent(is_agent=False)
    found, inspection = examine_agent(reading, environment={})
    if any(each.rule in _UNKNOWN_KIND for each in found):
        from runner.tools.plugins import added_kinds

        kinds = added_kinds()
        if kinds:
            found, inspection = examine_agent(reading, environment={}, kinds=kinds)
    errors = tuple(each for each in found if each.is_error)
    if inspection is None or errors:
        return Agent(errors=errors)
    names = find_names(inspection)
    return Agent(
        tools=None if names is None else frozenset(names),
        schemas=dict(_schemas(inspection)),
        remote=frozenset(_remote(inspection)),
        variables={
            name: "default" in each
            for name, each in inspection.document.value.get("variables", {}).items()
        },
        greets="greeting" in inspection.document.value,
    )


def _schemas(inspection: RuleContext) -> Iterator[tuple[str, Any]]:
    """Yield the schemas of the tools' arguments that can be told, by their names."""
    for tool in inspection.tools():
        name = name_of_tool(inspection, tool)
        schema = _schema(inspection, tool)
        if name is not None and schema is not None:
            yield name, schema


def _remote(inspection: RuleContext) -> Iterator[str]:
    for tool in inspection.tools():
        name = name_of_tool(inspection, tool)
        if name is not None and inspection.get((*tool, "http"), dict) is not None:
            yield name


def _schema(inspection: RuleContext, tool: Pointer) -> dict[str, Any] | None:
    written = inspection.get((*tool, "parameters"), dict)
    if written is not None:
        return written
    if inspection.get((*tool, "http"), dict) is not None:
        return {"type": "object", "properties": {}}
    function = inspection.fact(find_definitions).get(tool)
    if function is None or function.decorator_list:
        return None
    from runner.config.lint.python_types import infer_schema  # for Python tools only

    return infer_schema(inspection, tool)


# Where scenarios name tools and give arguments, each place once.


Role = Literal["mock", "tool_call", "expect", "llm"]


@dataclass(frozen=True, slots=True)
class Mention:
    """A tool's name in a scenario. `is_key`: it is the key that `path` ends with.

    `arguments` are where they stand beside it, with their path; `must_fit` says that
    the tool is expected to take them.
    """

    role: Role
    tool: str
    path: Pointer
    is_key: bool = False
    arguments: tuple[Any, Pointer] | None = None
    must_fit: bool = True


@dataclass(slots=True)
class Mentioned:
    """One mention and the agents of all scenarios that it is in force for."""

    mention: Mention
    agents: list[Agent] = field(default_factory=list)
    is_sure: bool = True  # False: one of the agents cannot be told


def find_mentions(inspection: RuleContext) -> list[Mentioned]:
    """Return every mention, with the agents that it is about."""
    found: dict[tuple[Pointer, str, str], Mentioned] = {}
    for draft in inspection.fact(find_drafts):
        agent = agent_of(inspection, draft)
        for each in _mentions(draft):
            key = (each.path, each.tool, repr(each.arguments))
            entry = found.setdefault(key, Mentioned(each))
            if agent is None or agent.tools is None:
                entry.is_sure = False
            elif agent not in entry.agents:
                entry.agents.append(agent)
    return list(found.values())


def _mentions(draft: ExpandedScenario) -> Iterator[Mention]:
    for name, part in draft.entries["mock"].items():
        yield Mention("mock", name, part.path, is_key=True)
    llm = draft.part("llm")
    if llm is not None:
        yield from _in_llm(llm.value, llm.path)
    for turn in draft.turns:
        ((kind, value),) = turn.value.items()
        path = (*turn.path, kind)
        if kind == "tool_call":
            yield _called("tool_call", value, path)
        elif kind == "expect":
            yield from _expected(value.get("tool_calls"), (*path, "tool_calls"))


def _in_llm(rules: Any, path: Pointer) -> Iterator[Mention]:
    for index, rule in enumerate(rules):
        at = (*path, index)
        if "after" in rule:
            yield Mention("llm", rule["after"], (*at, "after"))
        for number, call in enumerate(rule.get("tool_calls", ())):
            yield _called("llm", call, (*at, "tool_calls", number))


def _called(role: Role, value: Any, path: Pointer) -> Mention:
    if isinstance(value, str):
        return Mention(role, value, path)
    arguments = None
    if "arguments" in value:
        arguments = value["arguments"], (*path, "arguments")
    # A call that is to fail may be one that is refused.
    must_fit = value.get("fails") is not True
    return Mention(
        role, value["tool"], (*path, "tool"), arguments=arguments, must_fit=must_fit
    )


def _expected(calls: Any, path: Pointer) -> Iterator[Mention]:
    if isinstance(calls, dict):
        calls, path = calls["any_order"], (*path, "any_order")
    if calls is None or isinstance(calls, str):
        return
    for index, name in enumerate(listed(calls)):
        yield Mention("expect", name, (*path, index))
